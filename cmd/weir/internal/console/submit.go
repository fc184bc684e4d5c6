package console

import (
	"crypto/rand"
	"fmt"
	"net/http"
	"regexp"
	"strconv"
	"strings"

	"github.com/weircrawl/weir/internal/crawl"
	"github.com/weircrawl/weir/internal/spec"
	crawlv1 "github.com/weircrawl/weir/proto/weir/crawl/v1"
	schedulerv1 "github.com/weircrawl/weir/proto/weir/scheduler/v1"
	"github.com/weircrawl/weir/services/parser"
)

// specName is what mistakes of a spec begin with.
const specName = "spec"

// mistake is one mistake of a spec.
type mistake struct {
	// Line and Column, from 1; 0 where the mistake has no place.
	Line, Column int
	Text         string
	// Before, Source and After are the line and its neighbours.
	Before, Source, After sourceLine
}

// sourceLine is a line of a spec; Number is 0 where there is none.
type sourceLine struct {
	Number int
	Text   string
}

// submitPage is the form.
type submitPage struct {
	Text      string
	Close     bool
	RequestID string
	Mistakes  []mistake
	Problem   string
	Warnings  []string
	// Valid: it was checked, and nothing is wrong.
	Valid bool
	Rows  int
}

// newSpec shows the form with an example, or with a spec for a few URLs.
func (s *Server) newSpec(w http.ResponseWriter, r *http.Request) error {
	if err := s.allowed(r.Context()); err != nil {
		return err
	}
	return s.form(w, r, http.StatusOK, submitPage{Text: string(spec.Example()), Close: true, RequestID: rand.Text()})
}

func (s *Server) form(w http.ResponseWriter, r *http.Request, code int, p submitPage) error {
	p.Rows = min(max(strings.Count(p.Text, "\n")+2, 16), 40)
	return s.render(w, r, code, view{Name: "submit", Title: "New crawl", Section: "submit", Page: p})
}

// submit checks a spec, and creates the crawl if that is wanted and nothing is wrong.
func (s *Server) submit(w http.ResponseWriter, r *http.Request) error {
	if err := r.ParseForm(); err != nil {
		return err
	}
	p := submitPage{
		// Browsers send the ends of lines as CR LF.
		Text: strings.ReplaceAll(r.PostFormValue("spec"), "\r\n", "\n"), Close: r.PostFormValue("close") != "", RequestID: cut(r.PostFormValue("request_id"), 64),
	}
	parsed, err := spec.Decode(specName, []byte(p.Text), nil, noFiles, parser.CheckSpec)
	if err != nil {
		p.Mistakes = mistakesOf(p.Text, err)
		return s.form(w, r, http.StatusUnprocessableEntity, p)
	}
	p.Warnings = spec.Warnings(parsed)
	if r.PostFormValue("check") != "" {
		// Whoever may not look may not have specs checked here either.
		if err := s.allowed(r.Context()); err != nil {
			return err
		}
		p.Valid = true
		return s.form(w, r, http.StatusOK, p)
	}
	resp, err := s.deps.Client.Crawls.CreateCrawl(r.Context(), &schedulerv1.CreateCrawlRequest{Spec: parsed, Close: p.Close, RequestId: p.RequestID})
	if crawl.KindOf(err) == crawl.Invalid && err != nil {
		p.Problem = sentence(err.Error())
		return s.form(w, r, http.StatusUnprocessableEntity, p)
	}
	if err != nil {
		return err
	}
	http.Redirect(w, r, "/crawls/"+resp.GetCrawl().GetId()+"?done=created", http.StatusSeeOther)
	return nil
}

// noFiles refuses specs that name files: those of the server's disk are nobody's here,
// and those of the browser's machine did not come along.
func noFiles(s *crawlv1.CrawlSpec) error {
	const advice = "; or submit the file with weir submit"
	if len(s.GetSeeds().GetFiles()) > 0 {
		return &spec.Problem{Path: "seeds.files", Text: "files cannot be read here: add their URLs after the crawl was created" + advice}
	}
	for i, rule := range s.GetExtract() {
		if schema := strings.TrimSpace(rule.GetSchema()); schema != "" && !strings.HasPrefix(schema, "{") {
			return &spec.Problem{Path: fmt.Sprintf("extract[%d].schema", i), Text: "files cannot be read here: write the JSON Schema itself in its place" + advice}
		}
	}
	t := s.GetFetch().GetTls()
	for path, text := range map[string]string{"fetch.tls.ca": t.GetCa(), "fetch.tls.client_cert": t.GetClientCert()} {
		if text != "" && !spec.IsPEM(text) {
			return &spec.Problem{Path: path, Text: "files cannot be read here: write the certificate itself in its place" + advice}
		}
	}
	return nil
}

// mistakesOf finds the places of the mistakes of an error in the text of the spec.
func mistakesOf(text string, err error) []mistake {
	place := regexp.MustCompile(`^` + specName + `(?::(\d+))?(?::(\d+))?: (.*)$`)
	lines := strings.Split(text, "\n")
	at := func(n int) sourceLine {
		if n < 1 || n > len(lines) {
			return sourceLine{}
		}
		return sourceLine{n, cut(strings.ReplaceAll(lines[n-1], "\t", "    "), 160)}
	}
	var out []mistake
	for _, line := range strings.Split(err.Error(), "\n") {
		m := mistake{Text: sentence(line)}
		if found := place.FindStringSubmatch(line); found != nil {
			m.Line, _ = strconv.Atoi(found[1]) // 0 where there is none
			m.Column, _ = strconv.Atoi(found[2])
			m.Text = sentence(found[3])
		}
		if m.Line > 0 {
			m.Before, m.Source, m.After = at(m.Line-1), at(m.Line), at(m.Line+1)
		}
		out = append(out, m)
	}
	return out
}
