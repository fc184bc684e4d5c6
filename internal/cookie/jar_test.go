package cookie

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"
)

// step is a response that sets cookies, with what a jar then gives for the URL.
type step struct {
	url    string
	set    []string
	after  time.Duration // since the last step
	effect Effect
	header string
}

func TestJar(t *testing.T) {
	t.Parallel()
	const page = "https://www.shop.example/"
	for _, tt := range []struct {
		name  string
		steps []step
	}{
		{"set, set again, change, delete", []step{
			{page, []string{"a=1", "b=2"}, 0, Changed, "a=1; b=2"},
			{page, []string{"a=1", "b=2"}, time.Second, Nothing, "a=1; b=2"},
			{page, []string{"a=1"}, time.Second, Kept, "a=1; b=2"},
			{page, []string{"b=3"}, time.Second, Changed, "a=1; b=3"},
			{page, []string{"a=; max-age=0"}, time.Second, Changed, "b=3"},
			{page, []string{"a=; max-age=0"}, time.Second, Nothing, "b=3"},
			{page, nil, time.Second, Nothing, "b=3"},
		}},
		{"a value of its own for each path", []step{
			{page, []string{"a=1", "a=2; path=/x"}, 0, Changed, "a=1"},
			{page + "x", nil, 0, Nothing, "a=2; a=1"},
		}},
		{"host and domain are two cookies", []step{
			{page, []string{"a=1", "a=2; domain=shop.example"}, 0, Changed, "a=1; a=2"},
			{"https://shop.example/", nil, 0, Nothing, "a=2"},
			{"https://shop.example/", []string{"a=; max-age=0; domain=shop.example"}, 0, Changed, ""},
			{page, nil, 0, Nothing, "a=1"},
		}},
		{"life", []step{
			{page, []string{"a=1; max-age=10", "b=2"}, 0, Changed, "a=1; b=2"},
			{page, nil, 9 * time.Second, Nothing, "a=1; b=2"},
			{page, []string{"a=1; max-age=10"}, 0, Kept, "a=1; b=2"},
			{page, nil, 9 * time.Second, Nothing, "a=1; b=2"},
			{page, nil, time.Second, Nothing, "b=2"},
			{page, []string{"a=1"}, time.Second, Changed, "b=2; a=1"},
		}},
		{"a cookie of https is not overlaid in the clear", []step{
			{page, []string{"a=1; secure; path=/login"}, 0, Changed, ""},
			{"http://www.shop.example/", []string{"a=2; path=/login/x"}, 0, Nothing, ""},
			{"http://www.shop.example/", []string{"a=2; domain=shop.example; path=/login"}, 0, Nothing, ""},
			{"http://www.shop.example/", []string{"a=2"}, 0, Changed, "a=2"},
			{page + "login", nil, 0, Nothing, "a=1; a=2"},
			{page + "login", []string{"a=3; path=/login"}, 0, Changed, "a=3; a=2"},
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			var j Jar
			at := now
			for i, s := range tt.steps {
				at = at.Add(s.after)
				u := parseURL(t, s.url)
				var set []Cookie
				for _, h := range s.set {
					c, err := Parse(h, u, at)
					if err != nil {
						t.Fatal(err)
					}
					set = append(set, c)
				}
				var effect Effect
				j, effect = j.Merge(u, set, at)
				if got := j.Match(u, at); effect != s.effect || got != s.header {
					t.Fatalf("step %d: effect %d, header %q; want %d, %q", i, effect, got, s.effect, s.header)
				}
			}
		})
	}
}

func TestJarRefusesOtherSites(t *testing.T) {
	t.Parallel()
	u := parseURL(t, "https://a.shop.example/")
	for _, c := range []Cookie{
		{Name: "a", Domain: "other.example", Path: "/"},
		{Name: "a", Domain: "example", Path: "/"},
		{Name: "a", Domain: "shop.example", Path: "x"},
		{Name: "a", Value: "\n", Domain: "shop.example", Path: "/"},
		{Domain: "shop.example", Path: "/"},
	} {
		if j, effect := (Jar{}).Merge(u, []Cookie{c}, now); effect != Nothing || j.Len() != 0 {
			t.Errorf("%+v: effect %d, %d cookies", c, effect, j.Len())
		}
	}
}

func TestJarIsBounded(t *testing.T) {
	t.Parallel()
	u := parseURL(t, "https://a.example/")
	var j Jar
	add := func(name, value string) {
		c, err := Parse(name+"="+value, u, now)
		if err != nil {
			t.Fatal(err)
		}
		j, _ = j.Merge(u, []Cookie{c}, now)
	}
	for i := range MaxCookies + 3 {
		add(fmt.Sprint("n", i), "v")
	}
	if j.Len() != MaxCookies || strings.Contains(j.Match(u, now), "n2=") || !strings.Contains(j.Match(u, now), "n3=") {
		t.Errorf("%d cookies: %s", j.Len(), j.Match(u, now))
	}
	add("n3", "again") // now it is the newest
	for i := range 5 {
		add(fmt.Sprint("long", i), strings.Repeat("x", 4000))
	}
	if n := len(j.Encode()); n > MaxBytes {
		t.Errorf("%d bytes", n)
	}
	if h := j.Match(u, now); j.Len() != 4 || strings.Contains(h, "long0") || !strings.Contains(h, "long4") {
		t.Errorf("%d cookies", j.Len())
	}
}

func TestMergeLeavesTheOldJarAlone(t *testing.T) {
	t.Parallel()
	u := parseURL(t, "https://a.example/")
	first, _ := Jar{}.Merge(u, []Cookie{{Name: "a", Value: "1", Domain: "a.example", Path: "/"}, {Name: "b", Value: "1", Domain: "a.example", Path: "/"}}, now)
	before := string(first.Encode())
	_, _ = first.Merge(u, []Cookie{{Name: "a", Value: "2", Domain: "a.example", Path: "/"}}, now)
	if string(first.Encode()) != before {
		t.Error("the jar changed")
	}
}

func TestDecodeRefuses(t *testing.T) {
	t.Parallel()
	j, _ := Jar{}.Merge(parseURL(t, "https://a.example/"), []Cookie{{Name: "a", Value: "1", Domain: "a.example", Path: "/", Expires: now.Add(time.Hour)}}, now)
	good := string(j.Encode())
	if again, err := Decode([]byte(good)); err != nil || string(again.Encode()) != good {
		t.Fatalf("round trip: %v", err)
	}
	for name, b := range map[string]string{
		"only a version":  good[:1],
		"another version": "\x02" + good[1:],
		"cut":             good[:len(good)-1],
		"longer":          good + "\x00",
		"twice the same":  good + good[1:],
		"control byte":    strings.Replace(good, "1", "\n", 1),
		"no path":         strings.Replace(good, "/", "x", 1),
		"unknown flag":    good[:1] + "\xff" + good[2:],
	} {
		if _, err := Decode([]byte(b)); !errors.Is(err, ErrEncoding) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func BenchmarkMatch(b *testing.B) {
	u := parseURL(b, "https://www.shop.example/a/b")
	var set []Cookie
	for i := range 8 {
		set = append(set, Cookie{Name: fmt.Sprint("name", i), Value: "value", Domain: "shop.example", Path: "/", Created: now})
	}
	j, _ := Jar{}.Merge(u, set, now)
	b.ReportAllocs()
	for b.Loop() {
		if j.Match(u, now) == "" {
			b.Fatal("none")
		}
	}
}
