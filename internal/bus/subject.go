package bus

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"strconv"

	"google.golang.org/protobuf/proto"

	crawlv1 "github.com/weircrawl/weir/proto/weir/crawl/v1"
)

// Names of the streams, in the order of the flow.
const (
	StreamTasks   = "WEIR_TASKS"
	StreamPages   = "WEIR_PAGES"
	StreamRecords = "WEIR_RECORDS"
	StreamResults = "WEIR_RESULTS"
	StreamDead    = "WEIR_DEAD"
)

const (
	bucketCrawls     = "weir_crawls"
	bucketPartitions = "weir_partitions"

	subjectTask   = "weir.task."
	subjectPage   = "weir.page."
	subjectHeld   = "weir.held."
	subjectRecord = "weir.record."
	subjectResult = "weir.result."
	subjectLinks  = "weir.links."
	subjectFence  = "weir.fence."
	subjectDead   = "weir.dead."
	subjectReport = "weir.report."

	// advisoryMaxDeliver is followed by the names of stream and consumer.
	advisoryMaxDeliver = "$JS.EVENT.ADVISORY.CONSUMER.MAX_DELIVERIES."

	headerLease    = "Weir-Lease"
	headerFailures = "Weir-Failures"
	headerBundle   = "Weir-Bundle" // with the number of its messages
	// headerTrace is written in lower case, as other clients do: names of headers differ
	// by case in NATS.
	headerTrace = "traceparent"
)

// Message is something to publish.
type Message struct {
	// Subject it goes to.
	Subject string
	// ID guards against publishing twice within the duplicate window; "" for no guard.
	ID string
	// Lease is the visit that the message is about, for InFlight; 0 for none.
	Lease uint64
	// Fence has the server refuse a task with ErrFenced unless it is what the last
	// call of Bus.Fence for Partition, whoever made it, returned. 0 for no fence; only
	// for tasks, since the fences are in their stream.
	Fence     uint64
	Partition uint32
	// aged has the stream drop the message at the age that its configuration names.
	aged bool
	// failures of a page that is put aside; see HoldPage.
	failures int
	// Trace is the place in a trace that the message carries on, a traceparent; "" for
	// none, which costs nothing.
	Trace string
	// Body is marshalled while Publish runs and not kept. Nobody else may look at a page
	// or a record meanwhile.
	Body proto.Message
	// Outlinks of a result in wire form, besides those in Body.
	Outlinks Outlinks
	// parts are the messages of a bundle, and room is what they take on the wire.
	parts []Message
	room  int
	// wire is a message as it came, instead of Body.
	wire []byte
}

// Task makes the message for a pool of fetchers.
func Task(pool string, t *crawlv1.FetchTask) Message {
	m := message(subjectTask+pool+"."+t.GetRef().GetCrawlId(), "task", t.GetRef(), t)
	m.aged = true
	return m
}

// Page makes the message for the parsers.
func Page(p *crawlv1.Page) Message {
	m := message(subjectPage+p.GetRef().GetCrawlId(), "page", p.GetRef(), p)
	return m.again(p.GetReparse(), p.GetRef())
}

// Record makes the message for storage.
func Record(r *crawlv1.Record) Message {
	m := message(subjectRecord+r.GetRef().GetCrawlId(), "record", r.GetRef(), r)
	return m.again(r.GetReparse(), r.GetRef())
}

// again makes what is read again another message than the visit's own, and than one
// that is read by another revision. The visit's lease is long over.
func (m Message) again(reparse bool, ref *crawlv1.TaskRef) Message {
	if reparse {
		m.ID += "-again" + strconv.FormatUint(ref.GetRevision(), 10)
		m.Lease = 0
	}
	return m
}

// Result makes the message for the scheduler that owns the URL's partition.
func Result(r *crawlv1.Result) Message {
	p := strconv.FormatUint(uint64(r.GetRef().GetPartition()), 10)
	return message(subjectResult+p, "result", r.GetRef(), r)
}

// Links makes the message that brings links to the owner of another partition. Its
// id is of the place that the links come from, so that the copies which a new owner
// of that place sends are one.
func Links(dest uint32, l *crawlv1.Links) Message {
	b := make([]byte, 0, 56)
	b = append(b, "links-"...)
	b = strconv.AppendUint(b, uint64(l.GetSource()), 10)
	b = append(b, '-')
	b = strconv.AppendUint(b, l.GetEpoch(), 10)
	b = append(b, '-')
	b = strconv.AppendUint(b, l.GetSequence(), 10)
	subject := subjectLinks + strconv.FormatUint(uint64(dest), 10) + "." + l.GetCrawlId()
	return Message{Subject: subject, ID: string(b), Body: l}
}

// message adds an id made of stage, crawl, key, generation, attempt and lease: the same
// for every publish of one stage's work on one visit, and for nothing else. It is a hash
// of them, as short as a key, for the server remembers every id of the last seconds.
func message(subject, stage string, ref *crawlv1.TaskRef, body proto.Message) Message {
	b := make([]byte, 0, 112)
	b = append(b, ref.GetCrawlId()...)
	b = append(b, '-')
	b = append(b, ref.GetUrlKey()...)
	b = binary.BigEndian.AppendUint32(b, ref.GetGeneration())
	b = binary.BigEndian.AppendUint32(b, ref.GetAttempt())
	b = binary.BigEndian.AppendUint64(b, ref.GetLease())
	sum := sha256.Sum256(b)
	id := make([]byte, 0, 24)
	id = append(id, stage...)
	id = append(id, '-')
	id = base64.RawURLEncoding.AppendEncode(id, sum[:12])
	return Message{Subject: subject, ID: string(id), Lease: ref.GetLease(), Body: body}
}

// validSubject reports whether s may be published to: tokens without wildcards,
// none of them empty. A crawl without an id would make an empty one.
func validSubject(s string) bool {
	last := byte('.')
	for i := range len(s) {
		c := s[i]
		if c <= ' ' || c == '*' || c == '>' || c == 0x7f || c == '.' && last == '.' {
			return false
		}
		last = c
	}
	return last != '.'
}

// Consumer names a durable consumer. The zero value names none.
type Consumer struct {
	stream string
	name   string
	label  string // name without the partition, for metrics
	kind   consumerKind
}

// consumerKind selects the settings.
type consumerKind uint8

const (
	kindFetch consumerKind = iota
	kindParse
	kindStore
	kindResult
	kindDead
)

// FetchConsumer takes the tasks of a pool.
func FetchConsumer(pool string) Consumer {
	return Consumer{stream: StreamTasks, name: "fetch-" + pool, label: "fetch", kind: kindFetch}
}

// ParseConsumer takes pages.
func ParseConsumer() Consumer {
	return Consumer{stream: StreamPages, name: "parse", label: "parse", kind: kindParse}
}

// StoreConsumer takes records.
func StoreConsumer() Consumer {
	return Consumer{stream: StreamRecords, name: "store", label: "store", kind: kindStore}
}

// ResultConsumer takes the results of a partition; only its owner may.
func ResultConsumer(partition uint32) Consumer {
	return Consumer{stream: StreamResults, name: "result-" + strconv.FormatUint(uint64(partition), 10), label: "result", kind: kindResult}
}

// LinksConsumer takes the links that other partitions found for a partition; only
// its owner may. Its settings are those of ResultConsumer.
func LinksConsumer(partition uint32) Consumer {
	return Consumer{stream: StreamResults, name: "links-" + strconv.FormatUint(uint64(partition), 10), label: "links", kind: kindResult}
}

// deadConsumer takes dead letters and the advisories that announce them.
func deadConsumer() Consumer {
	return Consumer{stream: StreamDead, name: "dead", label: "dead", kind: kindDead}
}

// String returns stream/name.
func (c Consumer) String() string { return c.stream + "/" + c.name }
