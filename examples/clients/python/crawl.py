#!/usr/bin/env python3
"""Crawl a site on a running Weir and print its items, over REST, with Python's standard library alone.

    python3 crawl.py http://127.0.0.1:7090 https://shop.example/

The first argument is the console's address. WEIR_TOKEN is the token, where the server wants one; for a
server with a certificate of your own authority set SSL_CERT_FILE.
"""

import json
import os
import sys
import time
import urllib.error
import urllib.parse
import urllib.request


class Weir:
    """A client of the API over HTTP. Answers are dicts with the field names of the protos."""

    def __init__(self, base, token=None):
        self.base = base.rstrip("/") + "/api/v1"
        self.token = token

    def open(self, method, path, body=None, kind="application/json", **query):
        """Makes a request and returns the response, a file of bytes. A quota that is used up is waited for."""
        url = self.base + path
        if query:
            url += "?" + urllib.parse.urlencode(query)
        headers = {"Content-Type": kind}
        if self.token:
            headers["Authorization"] = "Bearer " + self.token
        while True:
            request = urllib.request.Request(url, data=body, method=method, headers=headers)
            try:
                return urllib.request.urlopen(request)
            except urllib.error.HTTPError as error:
                wait = error.headers.get("Retry-After")
                if error.code == 429 and wait:
                    time.sleep(float(wait))
                    continue
                # Errors are google.rpc.Status as JSON.
                raise SystemExit(f"{method} {path}: {json.load(error)['message']}") from None

    def call(self, method, path, message=None, **query):
        body = json.dumps(message or {}).encode() if method != "GET" else None
        with self.open(method, path, body, **query) as response:
            return json.load(response)

    def submit(self, spec):
        """Starts a crawl that takes more URLs until it is closed; returns its id."""
        return self.call("POST", "/crawls", {"spec": spec})["crawl"]["id"]

    def add(self, crawl, urls):
        """Adds URLs; the answer means that they are durable."""
        with self.open("POST", f"/crawls/{crawl}/urls", "\n".join(urls).encode(), "text/plain") as response:
            return json.load(response)

    def close(self, crawl):
        """Takes no more URLs: the crawl ends when nothing is left to visit."""
        self.call("POST", f"/crawls/{crawl}/close")

    def wait(self, crawl):
        """Waits for the end of a crawl and returns it."""
        while True:
            answer = self.call("GET", f"/crawls/{crawl}/wait", timeout="60s")
            if answer.get("done"):
                return answer["crawl"]

    def items(self, crawl):
        """The items as they come, until the crawl has ended."""
        with self.open("GET", f"/crawls/{crawl}/items/tail") as lines:
            for line in lines:
                message = json.loads(line)
                if "error" in message:
                    raise SystemExit(message["error"]["message"])
                yield message["item"]


def main():
    if len(sys.argv) < 3:
        raise SystemExit(__doc__)
    weir = Weir(sys.argv[1], os.environ.get("WEIR_TOKEN"))
    crawl = weir.submit({
        "name": "python",
        "seeds": {"urls": sys.argv[2:3]},
        "politeness": {"delay": os.environ.get("DELAY", "1s")},
        "limits": {"pages": 100},
    })
    print(weir.add(crawl, sys.argv[2:]), file=sys.stderr)
    weir.close(crawl)
    for item in weir.items(crawl):
        print(json.dumps(item))
    ended = weir.wait(crawl)
    print(ended["state"], ended["stats"].get("pages", 0), "pages", file=sys.stderr)


main()
