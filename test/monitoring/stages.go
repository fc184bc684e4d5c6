package monitoring

func scheduler() Dashboard {
	return Dashboard{
		Name: "scheduler", Title: "Weir / Scheduler",
		Description: "Partitions, leases, and whether the frontier keeps up.",
		Rows: []Row{
			{"Partitions", []Panel{
				{Title: "Partitions by replica", Unit: number, Stack: true, Description: "Together they must be as many as the store has.", Queries: one("weir_scheduler_partitions", "{{instance}}")},
				{Title: "Without owner", Unit: number, Description: "Above 0 for more than seconds: hosts stand still.", Queries: one("max(weir_scheduler_store_partitions) - sum(weir_scheduler_partitions)", "without owner")},
				{Title: "Moves and new beginnings", Unit: number, Description: "Partitions taken and given in an hour, and sessions that began anew.", Queries: []Query{{"sum by (what) (increase(weir_scheduler_moves_total[1h]))", "{{what}}"}, {"sum(increase(weir_scheduler_restarts_total[1h]))", "began anew"}}},
			}},
			{"Leases", []Panel{
				{Title: "URLs under way", Unit: number, Description: "Between dispatch and result, by replica. At scheduler.max-leases a later stage holds everything.", Queries: one("weir_scheduler_leases", "{{instance}}")},
				{Title: "Tasks on the stream", Unit: number, Description: "None waiting while hosts are ready: too few tasks; many: too few fetchers.", Queries: one("max by (pool, state) (weir_scheduler_backlog)", "{{pool}} {{state}}")},
				{Title: "Window", Unit: number, Description: "Tasks that may be with the fetchers; it follows their pace.", Queries: one("sum by (pool) (weir_scheduler_window)", "{{pool}}")},
				{Title: "Dispatched", Unit: perSec, Description: "Tasks handed to fetchers.", Queries: one(rate("weir_scheduler_tasks_total", "pool"), "{{pool}}")},
				{Title: "Taken back", Unit: perSec, Description: "Leases without a result. refused: the tasks stream is full; lost, expired: their message is gone; given_back: a fetcher stopped or came too late.", Queries: one(rate("weir_scheduler_leases_returned_total", "reason"), "{{reason}}")},
				{Title: "Results", Unit: perSec, Stack: true, Description: "Applied results by outcome. Many duplicates mean that messages come again.", Queries: one(rate("weir_scheduler_results_total", "outcome"), "{{outcome}}")},
			}},
			{"The loop", []Panel{
				{Title: "Turns", Unit: seconds, Description: "Time of a turn without the disk. Near a second the frontier is the bottleneck: more schedulers.", Queries: quantiles("weir_scheduler_turn_seconds")},
				{Title: "Commits", Unit: seconds, Description: "Until a batch is durable: the disk, or PostgreSQL.", Queries: quantiles("weir_scheduler_commit_seconds")},
				{Title: "Results in a commit", Unit: number, Description: "Near scheduler.batch all the time: results wait.", Queries: quantiles("weir_scheduler_batch_results")},
			}},
			{"Crawls", []Panel{
				{Title: "Crawls", Unit: number, Stack: true, Description: "By state.", Queries: one("sum by (state) (weir_scheduler_crawls)", "{{state}}")},
				{Title: "Queued by crawl", Unit: number, Stack: true, Description: "URLs of the active crawls; of the first hundred.", Queries: one(`sum by (crawl) (weir_scheduler_crawl_urls{state="queued"})`, "{{crawl}}")},
				{Title: "Hosts ready by crawl", Unit: number, Stack: true, Description: "Where there are none, that crawl waits for its sites.", Queries: one(`sum by (crawl) (weir_scheduler_crawl_hosts{state="ready"})`, "{{crawl}}")},
			}},
		},
	}
}

func fetcher() Dashboard {
	return Dashboard{
		Name: "fetcher", Title: "Weir / Fetcher",
		Description: "Exchanges with the sites, by pool: http and render (browsers).",
		Rows: []Row{
			{"Exchanges", []Panel{
				{Title: "Rate", Unit: perSec, Description: "Exchanges by pool.", Queries: one(rate("weir_fetcher_exchanges_total", "pool"), "{{pool}}")},
				{Title: "Classes", Unit: perSec, Stack: true, Description: "none is a page or a redirect. A jump of one class for all hosts points at our network.", Queries: one(rate("weir_fetcher_exchanges_total", "class"), "{{class}}")},
				{Title: "Duration", Unit: seconds, Description: "Whole exchanges.", Queries: quantiles("weir_fetcher_exchange_seconds")},
				{Title: "Steps, 95 %", Unit: seconds, Description: "Which part is slow: dns (the DNS server), connect (the network), first_byte (the sites).", Queries: one("histogram_quantile(0.95, sum by (le, step) (rate(weir_fetcher_step_seconds_bucket[$__rate_interval])))", "{{step}}")},
				{Title: "Statuses", Unit: perSec, Stack: true, Description: "Responses by class of their status.", Queries: one(rate("weir_fetcher_responses_total", "status"), "{{status}}")},
				{Title: "Reused connections", Unit: share, Max: 1, Description: "Few: raise fetcher.idle-conns.", Queries: one(`sum(rate(weir_fetcher_connections_total{state="reused"}[$__rate_interval])) / sum(rate(weir_fetcher_connections_total[$__rate_interval]))`, "reused")},
			}},
			{"Saturation", []Panel{
				{Title: "At a time", Unit: share, Max: 1, Description: "Exchanges that run, as a share of those that may. Near 1 with lag: more fetchers.", Queries: one("sum by (pool) (weir_fetcher_exchanges_in_flight) / sum by (pool) (weir_fetcher_concurrency_limit)", "{{pool}}")},
				{Title: "Limit", Unit: number, Description: "It falls below the setting while the process runs out of memory or processors.", Queries: one("sum by (pool) (weir_fetcher_concurrency_limit)", "{{pool}}")},
				{Title: "Memory held", Unit: bytesOf, Description: "Reserved by exchanges, for bodies.", Queries: one("sum by (pool) (weir_fetcher_memory_held_bytes)", "{{pool}}")},
				{Title: "Late and given back", Unit: perSec, Description: "late: half of the lease was over. given back: late ones, and those that a stop cut off.", Queries: []Query{{rate("weir_fetcher_tasks_late_total", ""), "late"}, {rate("weir_fetcher_tasks_returned_total", ""), "given back"}}},
				{Title: "Waits", Unit: perSec, Description: "Bodies that waited for memory; reports that were lost since the bus was away; bugs.", Queries: []Query{{rate("weir_fetcher_memory_waits_total", ""), "for memory"}, {rate("weir_fetcher_reports_lost_total", ""), "reports lost"}, {rate("weir_fetcher_panics_total", ""), "bugs"}}},
				{Title: "Lag", Unit: number, Description: "Tasks that wait or are being fetched.", Queries: one(`max by (consumer) (weir_bus_lag_messages{consumer=~"fetch-.*"})`, "{{consumer}}")},
			}},
			{"Bodies", []Panel{
				{Title: "Bytes", Unit: bytesPS, Description: "As they came, after decoding, and as they travel on.", Queries: []Query{{rate("weir_fetcher_wire_bytes_total", ""), "wire"}, {rate("weir_fetcher_body_bytes_total", ""), "decoded"}, {rate("weir_fetcher_compressed_bytes_total", ""), "compressed"}}},
				{Title: "Long and cut ones", Unit: perSec, Description: "Stored beside the message, and not whole.", Queries: []Query{{rate("weir_fetcher_bodies_stored_total", ""), "stored"}, {rate("weir_fetcher_bodies_truncated_total", ""), "cut"}}},
			}},
			{"Browsers", []Panel{
				{Title: "Pages shown", Unit: perSec, Description: "By browsers, with the requests that they made for them and those that were blocked.", Queries: []Query{{rate("weir_fetcher_browser_pages_total", ""), "pages"}, {rate("weir_fetcher_browser_requests_total", ""), "requests"}, {rate("weir_fetcher_browser_requests_blocked_total", ""), "blocked"}}},
				{Title: "Comings and goings in an hour", Unit: number, Description: "Crashes: lower fetcher.browser.pages, or more memory.", Queries: []Query{{"sum(increase(weir_fetcher_browser_starts_total[1h]))", "started"}, {"sum(increase(weir_fetcher_browser_recycled_total[1h]))", "replaced"}, {"sum(increase(weir_fetcher_browser_crashes_total[1h]))", "crashed"}, {"sum(increase(weir_fetcher_browser_retries_total[1h]))", "pages shown again"}}},
				{Title: "Memory", Unit: bytesOf, Description: "Of the browsers' processes, with what came for the pages a second.", Queries: []Query{{"sum(weir_fetcher_browser_memory_bytes)", "memory"}, {rate("weir_fetcher_browser_received_bytes_total", ""), "received a second"}}},
			}},
		},
	}
}

func parser() Dashboard {
	return Dashboard{
		Name: "parser", Title: "Weir / Parser",
		Description: "Pages read, and what is found in them.",
		Rows: []Row{
			{"Pages", []Panel{
				{Title: "Rate", Unit: perSec, Stack: true, Description: "By outcome. panic: a bug; timeout: a page or rule that takes too long; unreadable: a damaged body.", Queries: one(rate("weir_parser_pages_total", "outcome"), "{{outcome}}")},
				{Title: "Time of a page", Unit: seconds, Description: "To inflate and read one. When it grows look at the rules; when the lag does, add parsers.", Queries: quantiles("weir_parser_page_seconds")},
				{Title: "Lag", Unit: number, Description: "Pages that wait or are in hand.", Queries: one(`max by (consumer) (weir_bus_lag_messages{consumer="parse"})`, "{{consumer}}")},
				{Title: "Saturation", Unit: share, Max: 1, Description: "Pages in hand as a share of what parsers take.", Queries: one(`sum(weir_bus_in_hand{consumer="parse"}) / sum(weir_bus_in_hand_limit{consumer="parse"})`, "in hand")},
				{Title: "Bytes", Unit: bytesPS, Description: "Read, after decompression.", Queries: one(rate("weir_parser_body_bytes_total", ""), "read")},
				{Title: "Stuck", Unit: number, Description: "Pages that were given up and still use a processor.", Queries: one("weir_parser_stuck_pages", "{{instance}}")},
			}},
			{"What is found", []Panel{
				{Title: "Links", Unit: perSec, Stack: true, Description: "accepted, or why they are not followed. A jump of host or rule: the scope does not fit the site.", Queries: one(rate("weir_parser_links_total", "outcome"), "{{outcome}}")},
				{Title: "Items", Unit: perSec, Description: "Made and rejected. Many rejected after a change of the site: selectors no longer fit.", Queries: []Query{{rate("weir_parser_items_total", ""), "made"}, {rate("weir_parser_rejected_items_total", ""), "rejected"}}},
				{Title: "Fields found", Unit: share, Max: 1, Description: "Values that rules found, as a share of those that they looked for, by crawl and rule.", Queries: one(`sum by (crawl, rule) (rate(weir_parser_fields_total{outcome="filled"}[$__rate_interval])) / sum by (crawl, rule) (rate(weir_parser_fields_total[$__rate_interval]))`, "{{crawl}} {{rule}}")},
				{Title: "Fields fallen", Unit: number, Description: "Found far less often than before: a site has changed.", Queries: one("max(weir_parser_fallen_fields)", "fields")},
				{Title: "Cut records", Unit: perSec, Description: "Records that did not fit a message, by what was done to them.", Queries: one(rate("weir_parser_cut_records_total", "what"), "{{what}}")},
			}},
			{"Users' extractors", []Panel{
				{Title: "Calls", Unit: perSec, Stack: true, Description: "ok, failed (it may pass), refused (the page is a dead letter).", Queries: one(rate("weir_parser_extractor_calls_total", "outcome"), "{{outcome}}")},
				{Title: "Time of a call", Unit: seconds, Description: "All tries for a page together. Near the timeout of the spec: more replicas of the extractor.", Queries: quantiles("weir_parser_extractor_seconds")},
				{Title: "Put aside", Unit: perSec, Description: "Pages whose extractor is down or has more than enough.", Queries: one(rate("weir_parser_put_aside_pages_total", ""), "put aside")},
			}},
		},
	}
}

func storage() Dashboard {
	return Dashboard{
		Name: "storage", Title: "Weir / Storage",
		Description: "Commits, the archive, and the disk.",
		Rows: []Row{
			{"Commits", []Panel{
				{Title: "Records", Unit: perSec, Stack: true, Description: "stored; duplicate (came again); reread, outdated (readings of stored pages); invalid.", Queries: one(rate("weir_storage_records_total", "outcome"), "{{outcome}}")},
				{Title: "Time of a commit", Unit: seconds, Description: "Archive and catalogue with their fsyncs. High: the disk, PostgreSQL or the object store.", Queries: quantiles("weir_storage_commit_seconds")},
				{Title: "Records in a commit", Unit: number, Description: "Near storage.batch all the time: storage is the bottleneck.", Queries: quantiles("weir_storage_batch_records")},
				{Title: "Lag", Unit: number, Description: "Records that wait or are in hand.", Queries: one(`max by (consumer) (weir_bus_lag_messages{consumer="store"})`, "{{consumer}}")},
				{Title: "Items", Unit: perSec, Description: "Stored.", Queries: one(rate("weir_storage_items_total", ""), "items")},
				{Title: "Unchanged pages", Unit: perSec, Description: "Visits that found nothing new.", Queries: one(rate("weir_storage_revisits_total", ""), "unchanged")},
			}},
			{"Archive and disk", []Panel{
				{Title: "Archive", Unit: bytesPS, Description: "Written to WARC files. Plan the disk by it.", Queries: one(rate("weir_storage_archive_bytes_total", ""), "written")},
				{Title: "Free space", Unit: bytesOf, Description: "Of the data directories. Below storage.min-free nothing is committed.", Queries: one("weir_storage_free_bytes", "{{instance}}")},
				{Title: "Paused", Unit: number, Max: 1, Description: "1 while a storage takes nothing for want of space; and what it has refused a second.", Queries: []Query{{"max(weir_storage_intake_paused)", "paused"}, {rate("weir_storage_commits_refused_total", ""), "refused"}}},
				{Title: "Long bodies", Unit: perSec, Description: "Put, archived, and swept since their record never came.", Queries: one(rate("weir_storage_long_bodies_total", "outcome"), "{{outcome}}")},
				{Title: "Files finished in an hour", Unit: number, Description: "WARC files that were made whole and indexed.", Queries: one("sum(increase(weir_storage_segments_finished_total[1h]))", "finished")},
				{Title: "Damage", Unit: number, Description: "Files in quarantine, and bodies that had to be compressed again (should be 0).", Queries: []Query{{"max(weir_storage_segments_quarantined)", "quarantined"}, {"sum(increase(weir_storage_bodies_recompressed_total[1h]))", "compressed again"}}},
			}},
			{"Calls", []Panel{
				{Title: "gRPC", Unit: perSec, Stack: true, Description: "Calls of the API by code.", Queries: one(`sum by (grpc_code) (rate(grpc_server_handled_total[$__rate_interval]))`, "{{grpc_code}}")},
				{Title: "Duration, 95 %", Unit: seconds, Description: "By service.", Queries: one(`histogram_quantile(0.95, sum by (le, grpc_service) (rate(grpc_server_handling_seconds_bucket{grpc_type="unary"}[$__rate_interval])))`, "{{grpc_service}}")},
				{Title: "Refused", Unit: perSec, Description: "Calls that were refused, by reason.", Queries: one(rate("weir_access_refusals_total", "reason"), "{{reason}}")},
			}},
		},
	}
}
