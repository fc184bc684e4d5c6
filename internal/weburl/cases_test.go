package weburl

type parseCase struct{ in, want string }
type resolveCase struct{ base, ref, want string }

func parseCases() []parseCase { return []parseCase{
 {"http://example.com/", "http://example.com/"},
 {"http://[::1]:80/a/../b?x#y",""}, {"http://0x7f.1/",""},{"https://user:pw@Bücher.example:443/%7e",""},{"http://a_b.example/",""},{"http://1.2.3/",""},{"http:/\\h\\a",""},
 {"http://h/a;jsessionid=1/(S(lit3py55t21z5v55vlm25s55))/x?sid=1&utm_x=2&b=1&a=2",""},{"http://h/..;sid=1/x",""},{"http://xn--nxa.example/",""},
}}
func resolveCases() []resolveCase { return []resolveCase{
 {"http://example.com/a/b?c", "../d", ""},{"http://example.com/a/b?c", "?d", ""},{"http://example.com/a/b?c", "//h:80/x", ""},{"http://example.com/a/b?c", "http:x", ""},{"http://127.0.0.2:8080/a/b?c", "http://127.0.0.2:8080/x", ""},{"https://h/a/%2e./b","./%2e%2E/x y?'#z",""},
}}
