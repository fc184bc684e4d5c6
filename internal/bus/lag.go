package bus

import "context"

// Lag returns the messages waiting for and in the hands of every consumer, by
// "STREAM/consumer".
func (b *Bus) Lag(ctx context.Context) (map[string]uint64, error) {
	lag := make(map[string]uint64)
	for _, name := range flow() {
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

// Backlog is the tasks of a pool of fetchers.
type Backlog struct {
	// Waiting for a fetcher, and Working: in the hands of one.
	Waiting, Working int
	// Manned reports whether there are fetchers: some work, or ask for tasks.
	Manned bool
}

// FetchBacklog returns the tasks of a pool. The server counts a moment after it stores.
func (b *Bus) FetchBacklog(ctx context.Context, pool string) (Backlog, error) {
	c := FetchConsumer(pool)
	h, err := b.js.Consumer(ctx, c.stream, c.name) // brings its state with it
	if err != nil {
		return Backlog{}, unavailable("look at consumer "+c.String(), err)
	}
	info := h.CachedInfo()
	return Backlog{Waiting: int(info.NumPending), Working: info.NumAckPending, Manned: info.NumAckPending+info.NumWaiting > 0}, nil
}
