package frontier

// Sequence numbers order the items of one host queue and priority:
//
//	bit 63      0 for redirect targets (Candidate.Next), which come first
//	bits 48–62  breadth-first: depth, so that priority and depth sort alike
//	bits 0–47   breadth-first, best-first: a counter
//	bits 0–62   depth-first: the counter upside down, so that the newest is first
//
// The counter belongs to the store. It is reserved in blocks: a batch that begins
// a block writes its end, and a restart goes on from there, so that no number is
// given twice whatever a crash lost.
const (
	seqBlock    = 1 << 20
	seqCounter  = 1<<48 - 1
	seqMaxDepth = 1<<15 - 1
	seqLater    = 1 << 63
)

// newSeq returns the place of a new item.
func (f *Frontier) newSeq(o Order, depth int, next bool) uint64 {
	if f.seq >= f.seqLimit {
		f.seqLimit = f.seq + seqBlock
		f.out.Seq = f.seqLimit
	}
	f.seq++
	var s uint64
	switch o {
	case DepthFirst:
		s = seqLater - 1 - f.seq
	case BestFirst:
		s = f.seq & seqCounter
	default:
		s = uint64(min(max(depth, 0), seqMaxDepth))<<48 | f.seq&seqCounter
	}
	if next {
		return s
	}
	return s | seqLater
}
