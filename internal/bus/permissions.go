package bus

import "slices"

// Permissions are the subjects that a user of NATS may publish to and subscribe to; all
// others are refused.
type Permissions struct {
	Publish, Subscribe []string
}

// Users are the services that have one, each with Deps.Name the same: topology, which
// declares streams and reads none of them, and the four of the ring. The console calls
// services and needs no NATS.
func Users() []string { return []string{"topology", "scheduler", "fetcher", "parser", "storage"} }

// PermissionsOf returns what the user of a service needs, and no more; nothing for a
// service that is not among Users.
func PermissionsOf(service string) Permissions {
	var p Permissions
	switch service {
	case "topology":
		p.topology()
	case "scheduler":
		p.scheduler()
	case "fetcher":
		p.takes(StreamTasks)
		p.reads(bucketCrawls)
		// A page, or the record of what needs no parser.
		p.publish(subjectPage+"*", subjectRecord+"*", subjectReport+"*")
	case "parser":
		p.takes(StreamPages)
		p.reads(bucketCrawls)
		p.publish(subjectRecord + "*")
		// Pages that wait for a program are put aside and come back.
		p.publish(subjectHeld+"*", subjectPage+"*")
		p.publish(api("STREAM.INFO", StreamPages), api("DIRECT.GET", StreamPages), api("STREAM.MSG.DELETE", StreamPages))
	case "storage":
		p.takes(StreamRecords)
		p.reads(bucketCrawls)
		// Stored pages are read again.
		p.publish(subjectResult+"*", subjectPage+"*")
	default:
		return p
	}
	p.Subscribe = append(p.Subscribe, inboxPrefix+service+".>")
	slices.Sort(p.Publish)
	slices.Sort(p.Subscribe)
	return p
}

// inboxPrefix begins the subjects of answers, one for each service: none hears another's.
const inboxPrefix = "_INBOX_"

// api is the subject of a call to JetStream about a stream.
func api(call, stream string) string { return apiPrefix + call + "." + stream }

func (p *Permissions) publish(subjects ...string) { p.Publish = append(p.Publish, subjects...) }

// takes lets a service take from all consumers of a stream, which are of its kind, and
// bury what it cannot handle.
func (p *Permissions) takes(stream string) {
	p.publish(api("CONSUMER.MSG.NEXT", stream)+".*", subjectDead+stream)
	p.acks(stream)
}

// acks lets it settle them. With an account that has a domain, or in servers to come, the
// subject has two tokens more in front.
func (p *Permissions) acks(stream string) {
	p.publish("$JS.ACK."+stream+".>", "$JS.ACK.*.*."+stream+".>")
}

// reads lets a service read and watch a bucket.
func (p *Permissions) reads(bucket string) {
	stream, keys := "KV_"+bucket, "$KV."+bucket+".>"
	p.publish(
		api("STREAM.INFO", stream),
		api("DIRECT.GET", stream)+"."+keys,
		// A watch is a consumer of its own, with a name that nobody knows before.
		api("CONSUMER.CREATE", stream)+".*."+keys,
		api("CONSUMER.INFO", stream)+".*",
		api("CONSUMER.DELETE", stream)+".*",
		"$JS.FC."+stream+".>",
	)
}

// scheduler owns the frontier: it reads all streams, to find what is in flight, and
// writes what only the owner of a partition may.
func (p *Permissions) scheduler() {
	p.publish(subjectTask+"*.*", subjectFence+"*", subjectLinks+"*.*", subjectDead+"*")
	p.takes(StreamResults)
	p.takes(StreamDead)
	for _, bucket := range []string{bucketCrawls, bucketPartitions} {
		p.reads(bucket)
		p.publish("$KV." + bucket + ".>")
	}
	for _, stream := range flow() {
		p.publish(
			api("STREAM.INFO", stream), api("DIRECT.GET", stream),
			api("CONSUMER.INFO", stream)+".*", api("CONSUMER.LIST", stream), api("CONSUMER.NAMES", stream),
			// Messages that used up their deliveries are moved to the dead letters.
			api("STREAM.MSG.GET", stream), api("STREAM.MSG.DELETE", stream))
	}
	// A crawl that is cancelled leaves no tasks behind, and no pages put aside.
	p.publish(api("STREAM.PURGE", StreamTasks), api("STREAM.PURGE", StreamPages))
	p.Subscribe = append(p.Subscribe, subjectReport+"*")
}

// topology makes and removes streams, buckets and consumers.
func (p *Permissions) topology() {
	p.publish(apiPrefix+"INFO", apiPrefix+"STREAM.NAMES", apiPrefix+"STREAM.LIST")
	streams := flow()
	for _, bucket := range []string{bucketCrawls, bucketPartitions} {
		streams = append(streams, "KV_"+bucket)
	}
	for _, stream := range streams {
		p.publish(
			api("STREAM.CREATE", stream), api("STREAM.UPDATE", stream), api("STREAM.INFO", stream), api("STREAM.DELETE", stream),
			api("CONSUMER.CREATE", stream)+".>", api("CONSUMER.DURABLE.CREATE", stream)+".>",
			api("CONSUMER.INFO", stream)+".*", api("CONSUMER.LIST", stream), api("CONSUMER.NAMES", stream), api("CONSUMER.DELETE", stream)+".*")
	}
}

// flow are the streams in the order of the flow.
func flow() []string {
	return []string{StreamTasks, StreamPages, StreamRecords, StreamResults, StreamDead}
}
