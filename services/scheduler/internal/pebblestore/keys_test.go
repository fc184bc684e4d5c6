package pebblestore

import (
	"bytes"
	"testing"

	"github.com/weircrawl/weir/services/scheduler/internal/frontier"
)

// TestKeysSort: keys are ordered as what they stand for.
func TestKeysSort(t *testing.T) {
	t.Parallel()
	places := []frontier.QKey{
		{Priority: -1 << 31}, {Priority: -1, Seq: 1<<64 - 1}, {Priority: 0}, {Priority: 0, Seq: 1}, {Priority: 0, Seq: 1 << 63}, {Priority: 1<<31 - 1},
	}
	var last []byte
	for _, p := range places {
		k := queueKey(nil, 1, 2, 3, p)
		if bytes.Compare(last, k) >= 0 {
			t.Errorf("%+v does not sort after its predecessor", p)
		}
		if got, ok := parseQueueKey(k); !ok || got != p {
			t.Errorf("key of %+v reads as %+v", p, got)
		}
		last = k
	}
	ref := frontier.Ref{Crawl: 7, Partition: 9, Host: 1 << 63, Key: frontier.Key{1, 2, 3}}
	if got, ok := parseURLKey(urlKey(nil, &ref)); !ok || got != ref {
		t.Errorf("key of %+v reads as %+v", ref, got)
	}
	if ms, got, ok := parseDueKey(dueKey(nil, 12345, &ref)); !ok || got != ref || ms != 12345 {
		t.Errorf("due key of %+v reads as %+v at %d", ref, got, ms)
	}
}
