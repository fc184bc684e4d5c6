// Command go is an extractor for Weir in Go: it makes an item of each heading of a page
// and asks for the page that a list continues on.
//
//	go run . -listen 127.0.0.1:9000
package main

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"log"
	"net"
	"os/signal"
	"strings"
	"syscall"

	"golang.org/x/net/html"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	extractorv1 "github.com/weircrawl/weir/proto/weir/extractor/v1"
)

// maxMessage lets pages in that are as long as a spec may allow, and what is around them.
const maxMessage = 65 << 20

// headings is the extractor.
type headings struct {
	extractorv1.UnimplementedExtractorServiceServer
}

// heading is an item.
type heading struct {
	Level  string `json:"level"`
	Text   string `json:"text"`
	Length int    `json:"length"`
}

// Extract reads one page. It may be called for several at a time, and twice for one.
func (headings) Extract(page *extractorv1.ExtractRequest, out grpc.ServerStreamingServer[extractorv1.ExtractResponse]) error {
	if page.GetContentType() != "text/html" {
		return nil // nothing to find; that is no error
	}
	if strings.Contains(string(page.GetBody()), "POISON") {
		// The page becomes a dead letter with this text, and its URL has failed.
		return status.Error(codes.InvalidArgument, "the page has POISON in it")
	}
	root, err := html.Parse(strings.NewReader(string(page.GetBody())))
	if err != nil {
		return status.Errorf(codes.InvalidArgument, "read HTML: %v", err)
	}
	for n := range root.Descendants() {
		switch {
		case n.Type != html.ElementNode:
		case n.Data == "h1" || n.Data == "h2":
			text := strings.TrimSpace(textOf(n))
			if err := send(out, heading{n.Data, text, len([]rune(text))}); err != nil {
				return err
			}
		case n.Data == "span" && attr(n, "data-more") != "":
			err := out.Send(&extractorv1.ExtractResponse{Found: &extractorv1.ExtractResponse_Request{
				Request: &extractorv1.ExtractedRequest{Url: attr(n, "data-more"), Pagination: true},
			}})
			if err != nil {
				return err
			}
		}
	}
	return nil
}

// send sends an item. As JSON its fields keep their order.
func send(out grpc.ServerStreamingServer[extractorv1.ExtractResponse], h heading) error {
	data, err := json.Marshal(h)
	if err != nil {
		return fmt.Errorf("write item: %w", err)
	}
	return out.Send(&extractorv1.ExtractResponse{Found: &extractorv1.ExtractResponse_Item{
		Item: &extractorv1.ExtractedItem{Rule: "heading", Json: data},
	}})
}

func textOf(n *html.Node) string {
	var b strings.Builder
	for d := range n.Descendants() {
		if d.Type == html.TextNode {
			b.WriteString(d.Data)
		}
	}
	return b.String()
}

func attr(n *html.Node, name string) string {
	for _, a := range n.Attr {
		if a.Key == name {
			return a.Val
		}
	}
	return ""
}

func main() {
	listen := flag.String("listen", "127.0.0.1:9000", "where to listen")
	flag.Parse()
	if err := run(*listen); err != nil {
		log.Fatal(err)
	}
}

func run(listen string) error {
	l, err := net.Listen("tcp", listen)
	if err != nil {
		return err
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	srv := grpc.NewServer(grpc.MaxRecvMsgSize(maxMessage))
	extractorv1.RegisterExtractorServiceServer(srv, headings{})
	go func() {
		<-ctx.Done()
		srv.GracefulStop() // pages in hand are finished
	}()
	log.Printf("listening on %s", l.Addr())
	return srv.Serve(l)
}
