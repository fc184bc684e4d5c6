package parser

import "context"

// State is what a parser does at a moment, for people.
type State struct {
	// Reading are the pages that use a processor, at most Slots at a time.
	Reading int `json:"reading"`
	Slots   int `json:"slots"`
	// Stuck pages were given up and still run.
	Stuck int64 `json:"stuck"`
	// WaitingCrawls are those with pages put aside, as far as this parser knows.
	WaitingCrawls int `json:"waiting_crawls"`
}

// State returns what the parser does, as a State.
func (s *Service) State(context.Context) any {
	return State{Reading: len(s.slots), Slots: cap(s.slots), Stuck: s.stuck.Load(), WaitingCrawls: len(s.aside.list())}
}
