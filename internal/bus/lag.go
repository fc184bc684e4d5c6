package bus

import "context"

// Lag returns the messages waiting for and in the hands of every consumer, by
// "STREAM/consumer".
func (b *Bus) Lag(ctx context.Context) (map[string]uint64, error) {
	lag := make(map[string]uint64)
	for _, name := range []string{StreamTasks, StreamPages, StreamRecords, StreamResults, StreamDead} {
		s, err := b.js.Stream(ctx, name)
		if err != nil {
			return nil, unavailable("look at stream "+name, err)
		}
		list := s.ListConsumers(ctx)
		for c := range list.Info() {
			lag[name+"/"+c.Name] = c.NumPending + uint64(c.NumAckPending)
		}
		if err := list.Err(); err != nil {
			return nil, unavailable("list consumers of "+name, err)
		}
	}
	return lag, nil
}

// FetchBacklog returns how many tasks of a pool wait for a fetcher and how many
// are in the hands of one. The server counts a moment after it stores.
func (b *Bus) FetchBacklog(ctx context.Context, pool string) (waiting, working int, err error) {
	c := FetchConsumer(pool)
	h, err := b.js.Consumer(ctx, c.stream, c.name) // brings its state with it
	if err != nil {
		return 0, 0, unavailable("look at consumer "+c.String(), err)
	}
	info := h.CachedInfo()
	return int(info.NumPending), info.NumAckPending, nil
}
