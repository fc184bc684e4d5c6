package cdp

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// browser answers calls by their method until its input ends.
func browser(t *testing.T, answers func(message) []string) *Conn {
	t.Helper()
	theirIn, ourOut := io.Pipe()
	ourIn, theirOut := io.Pipe()
	c := New(ourIn, ourOut)
	done := make(chan error, 2)
	go func() { done <- c.Run() }()
	go func() {
		in := bufio.NewReader(theirIn)
		for {
			data, err := in.ReadBytes(0)
			if err != nil {
				done <- theirOut.Close()
				return
			}
			var m message
			if err := json.Unmarshal(data[:len(data)-1], &m); err != nil {
				t.Errorf("call: %v", err)
			}
			for _, a := range answers(m) {
				if a == "close" {
					_ = theirOut.Close()
					continue
				}
				_, _ = io.WriteString(theirOut, a+"\x00")
			}
		}
	}()
	t.Cleanup(func() {
		_ = ourOut.Close()
		for range 2 {
			if err := <-done; err != nil {
				t.Errorf("run: %v", err)
			}
		}
	})
	return c
}

func TestCall(t *testing.T) {
	t.Parallel()
	c := browser(t, func(m message) []string {
		switch m.Method {
		case "fine":
			// What nobody waits for, rubbish and a message without end come before.
			return []string{`{"id":999,"result":{}}`, "", "rubbish", strings.Repeat("x", maxMessage+1), fmt.Sprintf(`{"id":%d,"sessionId":%q,"result":{"said":%s}}`, m.ID, m.Session, m.Params)}
		case "refused":
			return []string{fmt.Sprintf(`{"id":%d,"error":{"code":-32000,"message":"no"}}`, m.ID)}
		case "eventful":
			return []string{`{"method":"Other","sessionId":"other","params":{}}`, `{"method":"Page.load","sessionId":"s","params":{"a":1}}`, fmt.Sprintf(`{"id":%d,"result":{}}`, m.ID)}
		case "last":
			return []string{"close"}
		}
		return nil
	})
	s := c.Session("s")
	var got struct{ Said map[string]int }
	if err := s.Call(t.Context(), "fine", map[string]int{"x": 7}, &got); err != nil || got.Said["x"] != 7 {
		t.Errorf("call: %v %v", got, err)
	}
	if err, ok := errors.AsType[*Error](s.Call(t.Context(), "refused", nil, nil)); !ok || err.Method != "refused" || err.Code != -32000 {
		t.Errorf("refused: %v", err)
	}
	events := make(chan Event, 4)
	stop := s.Listen(func(e Event) { events <- e })
	if err := s.Call(t.Context(), "eventful", nil, nil); err != nil {
		t.Fatal(err)
	}
	if e := <-events; e.Method != "Page.load" || string(e.Params) != `{"a":1}` || len(events) > 0 {
		t.Errorf("event %v, %d more", e, len(events))
	}
	stop()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := s.Call(ctx, "silent", nil, nil); !errors.Is(err, context.Canceled) {
		t.Errorf("given up: %v", err)
	}
	if err := s.Call(t.Context(), "last", nil, nil); !errors.Is(err, ErrGone) {
		t.Errorf("a browser that is gone: %v", err)
	}
	if err := s.Call(t.Context(), "fine", nil, nil); !errors.Is(err, ErrGone) || !c.Over() {
		t.Errorf("after that: %v", err)
	}
}
