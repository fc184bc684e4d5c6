package console

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"strings"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/weircrawl/weir/internal/crawl"
)

// Errors that have pages of their own.
var (
	errNoPage      = crawl.Errorf(crawl.NotFound, "there is no such page")
	errCrossOrigin = status.Error(codes.PermissionDenied, "another site had your browser make this request; open the console itself and try again")
)

// troublePage is what the template of errors is given.
type troublePage struct {
	Heading, Text, Advice string
}

// fail answers with a page about an error. An answer that has begun is broken off.
func (s *Server) fail(w http.ResponseWriter, r *http.Request, err error) {
	if errors.Is(err, context.Canceled) && r.Context().Err() != nil {
		return // nobody is there to read it
	}
	code, p := troubleOf(err)
	if code == http.StatusUnauthorized {
		if r.Method == http.MethodGet && wantsHTML(r) {
			http.Redirect(w, r, "/signin?next="+url.QueryEscape(r.URL.RequestURI()), http.StatusSeeOther)
			return
		}
	}
	if code == http.StatusInternalServerError {
		s.log.Error("page failed", "path", r.URL.Path, "err", err)
	}
	if !wantsHTML(r) {
		http.Error(w, p.Heading+": "+p.Text, code)
		return
	}
	if rerr := s.render(w, r, code, view{Name: "trouble", Title: p.Heading, Page: p}); rerr != nil {
		s.log.Error("page failed", "path", r.URL.Path, "err", rerr)
		http.Error(w, p.Heading, code)
	}
}

// wantsHTML reports whether a browser shows the answer, as against a script or a program.
func wantsHTML(r *http.Request) bool {
	accept := r.Header.Get("Accept")
	return !strings.Contains(accept, "text/event-stream") && (accept == "" || strings.Contains(accept, "text/html") || strings.Contains(accept, "*/*"))
}

// troubleOf gives an error its status and words for people.
func troubleOf(err error) (int, troublePage) {
	text := sentence(err.Error())
	if tooLong, ok := errors.AsType[*http.MaxBytesError](err); ok {
		return http.StatusRequestEntityTooLarge, troublePage{"Too long", "What was sent is longer than " + size(uint64(tooLong.Limit)) + ".", "Use weir submit on the command line for specs of this size."}
	}
	switch status.Code(err) {
	case codes.Unauthenticated:
		return http.StatusUnauthorized, troublePage{"Signed out", text, "Sign in with a token of your operator."}
	case codes.PermissionDenied:
		return http.StatusForbidden, troublePage{"Not allowed", text, "The token that you signed in with has a role that may not do this. Ask your operator for another one."}
	case codes.Unimplemented:
		return http.StatusNotImplemented, troublePage{"Not there yet", text, "This service is of an older version, or is not where the console looks for it."}
	case codes.DeadlineExceeded:
		return http.StatusGatewayTimeout, troublePage{"No answer in time", text, "The service is busy or cannot be reached. Try again in a moment."}
	}
	switch crawl.KindOf(err) {
	case crawl.Invalid:
		return http.StatusBadRequest, troublePage{"That cannot be done", text, ""}
	case crawl.NotFound:
		return http.StatusNotFound, troublePage{"Not found", text, ""}
	case crawl.Conflict, crawl.Precondition:
		return http.StatusConflict, troublePage{"Not now", text, ""}
	case crawl.Throttled:
		return http.StatusTooManyRequests, troublePage{"Too much at a time", text, "Try again in a moment."}
	case crawl.Unavailable:
		return http.StatusServiceUnavailable, troublePage{"A service cannot be reached", text, "Crawls are not lost: they go on where they were. Look at the stages and at the services' logs."}
	}
	if errors.Is(err, context.DeadlineExceeded) {
		return http.StatusGatewayTimeout, troublePage{"No answer in time", text, "The service is busy or cannot be reached. Try again in a moment."}
	}
	return http.StatusInternalServerError, troublePage{"Something is wrong with the console", text, "The log of the console has more."}
}

// sentence begins with a capital and ends with a stop, as errors do not.
func sentence(text string) string {
	text = strings.TrimSpace(cut(text, 2000))
	if text == "" {
		return ""
	}
	if c := text[0]; c >= 'a' && c <= 'z' {
		text = string(c-'a'+'A') + text[1:]
	}
	if !strings.ContainsAny(text[len(text)-1:], ".!?:)") {
		text += "."
	}
	return text
}
