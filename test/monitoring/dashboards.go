package monitoring

// Units of Grafana.
const (
	seconds = "s"
	bytesOf = "bytes"
	perSec  = "ops"
	bytesPS = "Bps"
	share   = "percentunit"
	number  = "short"
)

// Dashboards are all of them.
func Dashboards() []Dashboard {
	return []Dashboard{overview(), scheduler(), fetcher(), parser(), storage(), politeness()}
}

// rate is the pace of a counter by labels, empty for all together.
func rate(metric, by string) string {
	return sum(by) + "(rate(" + metric + "[$__rate_interval]))"
}

// sum adds up by labels.
func sum(by string) string {
	if by == "" {
		return "sum"
	}
	return "sum by (" + by + ") "
}

// quantiles are lines of a histogram's median, 95th and 99th hundredth.
func quantiles(metric string) []Query {
	q := func(share string) string {
		return "histogram_quantile(" + share + ", sum by (le) (rate(" + metric + "_bucket[$__rate_interval])))"
	}
	return []Query{{q("0.5"), "median"}, {q("0.95"), "95 %"}, {q("0.99"), "99 %"}}
}

func one(expr, legend string) []Query { return []Query{{expr, legend}} }

func overview() Dashboard {
	return Dashboard{
		Name: "overview", Title: "Weir / Overview",
		Description: "Which stage is behind, how fast the ring turns, and whether anything is wrong.",
		Rows: []Row{
			{"Now", []Panel{
				{Title: "Pages a second", Unit: perSec, Stat: true, Description: "Results applied: what the whole ring does.", Queries: one(rate("weir_scheduler_visit_seconds_count", ""), "")},
				{Title: "Furthest behind", Unit: number, Stat: true, Description: "The longest lag of any stage. The chart below says which it is.", Queries: one(`max(weir_bus_lag_messages{consumer!="dead"})`, "")},
				{Title: "Hosts ready", Unit: number, Stat: true, Description: "Hosts that may be visited now. None: the sites set the pace, more replicas do not help.", Queries: one(`sum(weir_scheduler_hosts{state="ready"})`, "")},
				{Title: "URLs queued", Unit: number, Stat: true, Description: "Known and not visited, of all crawls.", Queries: one(`sum(weir_scheduler_ledger_urls{state="queued"})`, "")},
				{Title: "Dead letters", Unit: number, Stat: true, Description: "Messages that were given up: weir dead.", Queries: one("sum(max by (stream) (weir_bus_dead_letters))", "")},
				{Title: "Alerts firing", Unit: number, Stat: true, Description: "Each has a section in docs/runbooks.md.", Queries: one(`count(ALERTS{alertname=~"Weir.*", alertstate="firing"}) or vector(0)`, "")},
			}},
			{"Stages", []Panel{
				{Title: "Lag", Unit: number, Description: "Messages that wait for a stage or are in its hands. The highest line is the bottleneck: add replicas of that stage.", Queries: one("max by (consumer) (weir_bus_lag_messages)", "{{consumer}}")},
				{Title: "Handled", Unit: perSec, Description: "Messages that each stage finishes. In a ring that turns they are alike.", Queries: one(`sum by (consumer) (rate(weir_bus_consumed_total{outcome="ack"}[$__rate_interval]))`, "{{consumer}}")},
				{Title: "Not handled well", Unit: perSec, Description: "bug: a handler failed. dead: given up. retry: a part is down, messages are held. released: given back at a stop.", Queries: one(`sum by (consumer, outcome) (rate(weir_bus_consumed_total{outcome!="ack"}[$__rate_interval]))`, "{{consumer}} {{outcome}}")},
				{Title: "Saturation", Unit: share, Max: 1, Description: "Messages in the hands of replicas, as a share of what they take at a time. Near 1: add replicas.", Queries: one("sum by (consumer) (weir_bus_in_hand) / sum by (consumer) (weir_bus_in_hand_limit)", "{{consumer}}")},
				{Title: "Streams", Unit: share, Max: 1, Description: "How full the streams are. A full one stops the stage before it.", Queries: one(`max by (stream) (weir_bus_stream_bytes) / max by (stream) (weir_bus_stream_limit_bytes)`, "{{stream}}")},
				{Title: "Oldest message", Unit: seconds, Description: "How long the oldest message of a stream has waited.", Queries: one(`max by (stream) (weir_bus_stream_oldest_seconds{stream!="WEIR_DEAD"})`, "{{stream}}")},
			}},
			{"The ring", []Panel{
				{Title: "Time of a visit", Unit: seconds, Description: "From the lease of a URL to its applied result: all queues, the exchange, parsing, the commit.", Queries: quantiles("weir_scheduler_visit_seconds")},
				{Title: "URLs by state", Unit: number, Stack: true, Description: "The ledger over all crawls.", Queries: one(`sum by (state) (weir_scheduler_ledger_urls{state!="discovered"})`, "{{state}}")},
				{Title: "What hosts wait for", Unit: number, Stack: true, Description: "Many in delay: politeness sets the pace. Many ready: fetchers do.", Queries: one("sum by (state) (weir_scheduler_hosts)", "{{state}}")},
				{Title: "Traffic", Unit: bytesPS, Description: "Bytes of bodies as they come from the sites, and as the archive takes them.", Queries: []Query{{rate("weir_fetcher_wire_bytes_total", ""), "from the sites"}, {rate("weir_storage_archive_bytes_total", ""), "to the archive"}}},
				{Title: "Items", Unit: perSec, Description: "Items stored, and those that the rules rejected.", Queries: []Query{{rate("weir_storage_items_total", ""), "stored"}, {rate("weir_parser_rejected_items_total", ""), "rejected"}}},
				{Title: "Exchanges by class", Unit: perSec, Stack: true, Description: "none is a page or a redirect; the rest is what went wrong with the sites.", Queries: one(rate("weir_fetcher_exchanges_total", "class"), "{{class}}")},
			}},
			{"Processes", []Panel{
				{Title: "CPU", Unit: number, Description: "Processors that each process uses.", Queries: one(`rate(process_cpu_seconds_total[$__rate_interval]) * on (instance) group_left (version) weir_build_info`, "{{instance}}")},
				{Title: "Memory", Unit: bytesOf, Description: "Resident memory of each process.", Queries: one(`process_resident_memory_bytes * on (instance) group_left (version) weir_build_info`, "{{instance}}")},
				{Title: "Versions", Unit: number, Description: "Processes by version. Two for long: an upgrade is stuck.", Queries: one("count by (version) (weir_build_info)", "{{version}}")},
			}},
			{"Console", []Panel{
				{Title: "Requests", Unit: perSec, Stack: true, Description: "Requests to the web page, by class of status. 5xx: a service cannot be reached from it.", Queries: one(rate("weir_console_requests_total", "status"), "{{status}}")},
				{Title: "Browsers kept up to date", Unit: number, Description: "At console.streams further ones look every five seconds: raise it, or run another console.", Queries: one("sum(weir_console_streams)", "streams")},
				{Title: "Time of a look", Unit: seconds, Description: "How long the services take to answer for the charts.", Queries: quantiles("weir_console_look_seconds")},
			}},
		},
	}
}

func politeness() Dashboard {
	return Dashboard{
		Name: "politeness", Title: "Weir / Politeness",
		Description: "How gently the sites are visited, and what they say to it.",
		Rows: []Row{
			{"Hosts", []Panel{
				{Title: "What hosts wait for", Unit: number, Stack: true, Description: "ready: nothing. delay: the time between visits. snoozed: back-off or Retry-After. robots: robots.txt first. domain_cap, ip_cap: others of the domain or address. blocked: by an operator. dead: no answer.", Queries: one("sum by (state) (weir_scheduler_hosts)", "{{state}}")},
				{Title: "Share that may be visited", Unit: share, Max: 1, Description: "Hosts that are ready or being visited, of all with work. Low: more replicas do not help.", Queries: one(`sum(weir_scheduler_hosts{state=~"ready|visited"}) / sum(weir_scheduler_hosts)`, "ready or visited")},
				{Title: "Delay before visits", Unit: seconds, Description: "How long hosts had to be left alone: delay, Crawl-delay, adaptive pace, back-off.", Queries: quantiles("weir_scheduler_politeness_delay_seconds")},
			}},
			{"What sites say", []Panel{
				{Title: "Asked to be left alone", Unit: share, Description: "Answers 429 and 503, as a share of all. Above a few hundredths: a longer delay.", Queries: one("sum(rate(weir_fetcher_throttled_responses_total[$__rate_interval])) / sum(rate(weir_fetcher_exchanges_total[$__rate_interval]))", "429, 503")},
				{Title: "Time to the first byte", Unit: seconds, Description: "How long sites think. Growing while we visit: we are too fast for them; adaptive pace follows it.", Queries: []Query{
					{`histogram_quantile(0.5, sum by (le) (rate(weir_fetcher_step_seconds_bucket{step="first_byte"}[$__rate_interval])))`, "median"},
					{`histogram_quantile(0.95, sum by (le) (rate(weir_fetcher_step_seconds_bucket{step="first_byte"}[$__rate_interval])))`, "95 %"}}},
				{Title: "Never visited", Unit: number, Stack: true, Description: "URLs that were dropped, by reason; robots_denied are those that sites do not want.", Queries: one("sum by (reason) (weir_scheduler_dropped_urls)", "{{reason}}")},
			}},
			{"Retries", []Panel{
				{Title: "Results", Unit: perSec, Stack: true, Description: "done, delayed (to be tried again or visited later), failed, robots, again (in a browser), duplicate.", Queries: one(rate("weir_scheduler_results_total", "outcome"), "{{outcome}}")},
				{Title: "Failures by class", Unit: perSec, Stack: true, Description: "What went wrong with the sites.", Queries: one(`sum by (class) (rate(weir_fetcher_exchanges_total{class!="none"}[$__rate_interval]))`, "{{class}}")},
				{Title: "Visits that found nothing new", Unit: perSec, Description: "Unchanged pages of recrawls. Nearly all: visit less often.", Queries: one(rate("weir_storage_revisits_total", ""), "unchanged")},
			}},
		},
	}
}
