package trace

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"

	sdk "go.opentelemetry.io/otel/sdk/trace"
	otel "go.opentelemetry.io/otel/trace"
)

// ID returns the id of the trace of a visit, whether there is such a trace or not: it
// follows from the crawl and the lease, so that nobody has to keep it.
func ID(crawlID string, lease uint64) string {
	id := visitID(crawlID, lease)
	return hex.EncodeToString(id[:])
}

func visitID(crawlID string, lease uint64) otel.TraceID {
	b := make([]byte, 0, 64)
	b = append(b, crawlID...)
	b = append(b, 0)
	b = binary.BigEndian.AppendUint64(b, lease)
	sum := sha256.Sum256(b)
	return otel.TraceID(sum[:16])
}

// share is the part of all trace ids that are sampled: those whose last 63 bits are
// below it, as OpenTelemetry's own sampler has it.
type share uint64

func newShare(s float64) share { return share(min(max(s, 0), 1) * (1 << 63)) }

func (s share) takes(id otel.TraceID) bool { return binary.BigEndian.Uint64(id[8:])>>1 < uint64(s) }

// decided is the key of a context in which a root span begins that is to be sampled,
// with this id; zero for any.
type decided struct{}

// ids makes ids; where the trace's is decided, it is taken.
type ids struct{}

// NewIDs implements sdk.IDGenerator.
func (g ids) NewIDs(ctx context.Context) (otel.TraceID, otel.SpanID) {
	id, _ := ctx.Value(decided{}).(otel.TraceID)
	for !id.IsValid() {
		_, _ = rand.Read(id[:]) // never fails
	}
	return id, g.NewSpanID(ctx, id)
}

// NewSpanID implements sdk.IDGenerator.
func (ids) NewSpanID(context.Context, otel.TraceID) (id otel.SpanID) {
	for !id.IsValid() {
		_, _ = rand.Read(id[:]) // never fails
	}
	return id
}

// sampler takes what was decided elsewhere: by the parent, or by the scheduler. Of
// other roots, which are calls, it takes a share.
type sampler struct {
	calls sdk.Sampler
}

func newSampler(s float64) sdk.Sampler { return sdk.ParentBased(sampler{sdk.TraceIDRatioBased(s)}) }

// ShouldSample implements sdk.Sampler.
func (s sampler) ShouldSample(p sdk.SamplingParameters) sdk.SamplingResult {
	if _, ok := p.ParentContext.Value(decided{}).(otel.TraceID); ok {
		return sdk.SamplingResult{Decision: sdk.RecordAndSample}
	}
	return s.calls.ShouldSample(p)
}

// Description implements sdk.Sampler.
func (s sampler) Description() string { return "visits as decided, calls by " + s.calls.Description() }
