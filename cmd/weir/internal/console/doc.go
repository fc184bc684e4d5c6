// Package console is the web page of Weir: crawls and their progress, the stages of the
// ring, hosts, dead letters, explanations of URLs, and a place to submit specs.
//
// It calls the services by gRPC as any client does, with the token of whoever looks, and
// keeps nothing but a few minutes of counters (package history), which all viewers share.
// Several may run side by side. Pages are made here, whole, by html/template; a script of
// a hundred lines fetches a page again when there is something new in it, and everything
// can be read, and done, without it.
//
//	config    its settings
//	server    the port, the routes, the order of the stop
//	guard     what every answer says to browsers, and whose requests are refused
//	session   tokens in cookies, and on to the services
//	sampler   looks at the services now and then
//	events    tells browsers that there is something new
//	render    templates and what they share
//	trouble   errors as pages
//
// and a file for each page.
package console
