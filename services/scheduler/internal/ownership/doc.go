// Package ownership decides which replica of the scheduler owns which partitions:
// what to claim, what to give away, what to renew, and when a lease is too old to
// act on. It is pure: no I/O, no clock; what happens comes in through methods, what
// is to be done comes out of Next.
//
// Every replica has a key that says that it is alive, every owned partition a key
// that names its owner; both vanish when they are not renewed. Each replica
// computes, from the members that it sees, the same assignment (see Assign) and
// works towards it:
//
//   - a free partition is claimed by the replica that it is assigned to;
//   - a partition that is assigned to another living replica is given away, one at a
//     time: the next one only when somebody has taken the last.
//
// Views differ while messages travel. That costs time and never safety: a claim
// succeeds only on a key that is free, and an owner acts only while its last renewal
// is younger than the key's life minus a margin.
package ownership
