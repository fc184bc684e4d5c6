package frontier_test

import (
	"encoding/binary"
	"strings"
	"testing"
	"time"

	"github.com/weircrawl/weir/internal/crawl"
	"github.com/weircrawl/weir/services/scheduler/internal/frontier"
)

func keeping() frontier.Crawl { return frontier.Crawl{Cookies: true, MaxRedirects: 5} }

func TestCookiesOfASite(t *testing.T) {
	t.Parallel()
	v := newVisitor(t, keeping(), func(l frontier.Lease, _ string) found {
		switch l.Item.URL.String() {
		case "https://www.shop.test/":
			return found{set: []string{"a=1; domain=shop.test", "b=2; path=/x", "c=3; domain=shop.test; max-age=60"}, links: []string{"https://shop.test/", "https://www.shop.test/x"}}
		case "https://other.test/":
			return found{set: []string{"mine=1"}}
		}
		return found{}
	})
	v.again = true
	v.add("https://www.shop.test/")
	v.want(v.run(), "https://www.shop.test/", "https://shop.test/ a=1; c=3", "https://www.shop.test/x b=2; a=1; c=3")
	v.restart()
	v.now = v.now.Add(2 * time.Minute)
	v.add("https://other.test/", "https://a.shop.test/", "http://shop.test/")
	got := v.run()
	for _, want := range []string{"https://other.test/", "https://a.shop.test/ a=1", "http://shop.test/ a=1"} {
		if !strings.Contains(strings.Join(got, "\n")+"\n", want+"\n") {
			t.Errorf("no %q in %q", want, got)
		}
	}
	v.add("https://other.test/again")
	v.want(v.run(), "https://other.test/again mine=1")
}

func TestNoCookiesWhereTheyAreNotWanted(t *testing.T) {
	t.Parallel()
	v := newVisitor(t, frontier.Crawl{}, func(frontier.Lease, string) found {
		return found{set: []string{"a=1"}, links: []string{"https://a.test/2"}}
	})
	v.add("https://a.test/1")
	v.want(v.run(), "https://a.test/1", "https://a.test/2")
}

// TestCookiesNeededToProceed: sites that send their visitors round until they have a
// cookie.
func TestCookiesNeededToProceed(t *testing.T) {
	t.Parallel()
	const page, login, third = "https://a.test/", "https://a.test/login", "https://b.a.test/sso"
	has := strings.Contains
	for _, c := range []struct {
		name   string
		answer func(url, cookies string) found
		want   []string
		status int // of page, in the end
		class  crawl.Class
	}{
		{"to itself", func(_, cookies string) found {
			if has(cookies, "a=1") {
				return found{}
			}
			return found{status: 302, redirect: page, set: []string{"a=1"}}
		}, []string{page, page + " a=1"}, 200, crawl.ClassNone},
		{"to itself, and no cookie helps", func(string, string) found {
			return found{status: 302, redirect: page, set: []string{"a=1"}}
		}, []string{page, page + " a=1"}, 302, crawl.ClassRedirectLoop},
		{"to itself, with another cookie each time", func(_, cookies string) found {
			return found{status: 302, redirect: page, set: []string{"a=1" + strings.TrimPrefix(cookies, "a=")}}
		}, []string{page, page + " a=1", page + " a=11", page + " a=111", page + " a=1111", page + " a=11111"}, 302, crawl.ClassRedirectLoop},
		{"by another page", func(url, cookies string) found {
			switch {
			case url == login:
				return found{status: 302, redirect: page, set: []string{"a=1"}}
			case has(cookies, "a=1"):
				return found{}
			}
			return found{status: 307, redirect: login}
		}, []string{page, login, page + " a=1"}, 200, crawl.ClassNone},
		{"by another host of the site", func(url, cookies string) found {
			switch {
			case url == third:
				return found{status: 302, redirect: page, set: []string{"a=1; domain=a.test"}}
			case has(cookies, "a=1"):
				return found{}
			}
			return found{status: 302, redirect: third}
		}, []string{page, third, page + " a=1"}, 200, crawl.ClassNone},
		{"by a page that has to be asked twice", func(url, cookies string) found {
			switch {
			case url == login && has(cookies, "a=1"):
				return found{status: 302, redirect: page, set: []string{"b=1"}}
			case url == login:
				return found{status: 302, redirect: page, set: []string{"a=1"}}
			case has(cookies, "b=1"):
				return found{}
			}
			return found{status: 302, redirect: login}
		}, []string{page, login, page + " a=1", login + " a=1", page + " a=1; b=1"}, 200, crawl.ClassNone},
		{"round and round without cookies", func(url, _ string) found {
			if url == login {
				return found{status: 302, redirect: page}
			}
			return found{status: 302, redirect: login}
		}, []string{page, login}, 302, crawl.ClassNone},
		{"round and round with a cookie that does not help", func(url, _ string) found {
			if url == login {
				return found{status: 302, redirect: page, set: []string{"a=1"}}
			}
			return found{status: 302, redirect: login}
		}, []string{page, login, page + " a=1", login + " a=1"}, 302, crawl.ClassNone},
		{"by a refresh", func(url, cookies string) found {
			if has(cookies, "a=1") {
				return found{}
			}
			return found{redirect: page, set: []string{"a=1"}} // 200
		}, []string{page, page + " a=1"}, 200, crawl.ClassNone},
		{"a page that reloads itself", func(string, string) found {
			return found{redirect: page}
		}, []string{page}, 200, crawl.ClassNone},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			v := newVisitor(t, keeping(), func(l frontier.Lease, cookies string) found {
				if l.Item.Attempts > 0 {
					t.Errorf("%s: attempt %d", l.Item.URL, l.Item.Attempts+1)
				}
				return c.answer(l.Item.URL.String(), cookies)
			})
			v.again = true
			v.add(page)
			v.want(v.run(), c.want...)
			if r := v.record(page); r.Status != c.status || r.Class != c.class {
				t.Errorf("in the end: %+v", r)
			}
			v.stats()
		})
	}
}

// TestPagesThatAllLeadToOne: a page that many redirect to is visited once, whatever
// cookies come with the redirects.
func TestPagesThatAllLeadToOne(t *testing.T) {
	t.Parallel()
	n := 0
	v := newVisitor(t, keeping(), func(l frontier.Lease, _ string) found {
		n++
		set := []string{"session=" + strings.Repeat("x", n)}
		switch l.Item.URL.Path() {
		case "/login":
			return found{status: 302, redirect: "https://a.test/home", set: set}
		case "/home":
			return found{set: set}
		}
		return found{status: 302, redirect: "https://a.test/login", set: set}
	})
	v.add("https://a.test/1", "https://a.test/2", "https://a.test/3")
	if got := v.run(); len(got) != 5 {
		t.Errorf("visited %q", got)
	}
}

// TestGoingBackOnce: a message from another owner that comes again sends nobody round
// again.
func TestGoingBackOnce(t *testing.T) {
	t.Parallel()
	n := 0
	v := newVisitor(t, keeping(), func(l frontier.Lease, _ string) found {
		if l.Item.URL.Path() != "/" {
			return found{}
		}
		n++
		return found{status: 302, redirect: "https://b.test/x", set: []string{"n=" + strings.Repeat("x", n)}}
	})
	v.add("https://a.test/")
	v.want(v.run(), "https://a.test/", "https://b.test/x")
	back := v.candidate("https://a.test/")
	back.Next, back.Redirects = true, 2
	back.Hop = &frontier.Hop{Via: "https://b.test/x", Chain: binary.BigEndian.Uint64(back.Ref.Key[:])}
	for _, want := range [][]string{{"https://a.test/ n=x"}, nil, nil} {
		c := back
		known := v.known([]frontier.Ref{c.Ref})
		v.lookBack(c.Ref, &c, false)
		rec := v.record("https://a.test/")
		c.Was = &rec
		v.f.Add(v.now, v.no, []frontier.Candidate{c}, known)
		v.want(v.run(), want...)
	}
}

func TestViaOfRedirects(t *testing.T) {
	t.Parallel()
	next := map[string]string{"https://a.test/1": "https://a.test/2", "https://a.test/2": "https://b.test/3"}
	via := map[string]string{}
	v := newVisitor(t, frontier.Crawl{MaxRedirects: 5, Retries: 1}, func(l frontier.Lease, _ string) found {
		url := l.Item.URL.String()
		if h := l.Item.Hop; h != nil {
			via[url] = h.Via
		}
		if to := next[url]; to != "" {
			return found{status: 301, redirect: to}
		}
		if l.Item.Attempts == 0 {
			return found{class: crawl.ClassReset} // a retry keeps it
		}
		return found{}
	})
	v.add("https://a.test/1")
	v.next()    // handed out, and forgotten by a crash
	v.restart() // what it leads to is known from the store
	for _, l := range v.f.Leases() {
		v.f.Return(v.now, l.ID)
	}
	v.want(v.run(), "https://a.test/1", "https://a.test/2", "https://b.test/3", "https://b.test/3")
	if via["https://a.test/1"] != "" || via["https://a.test/2"] != "https://a.test/1" || via["https://b.test/3"] != "https://a.test/2" {
		t.Errorf("via %v", via)
	}
	if r := v.record("https://b.test/3"); r.Hop == nil || r.Hop.Via != "https://a.test/2" || r.Redirects != 2 {
		t.Errorf("record %+v", r)
	}
}
