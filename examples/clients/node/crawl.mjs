// Crawl a site on a running Weir and print its items, over REST, with what Node.js has (18 and
// later; as it is, it is TypeScript too).
//
//   node crawl.mjs http://127.0.0.1:7090 https://shop.example/
//
// The first argument is the console's address. WEIR_TOKEN is the token, where the server wants
// one; for a server with a certificate of your own authority set NODE_EXTRA_CA_CERTS.

import { setTimeout as sleep } from 'node:timers/promises'

class Weir {
  constructor(base, token) {
    this.base = base.replace(/\/$/, '') + '/api/v1'
    this.token = token
  }

  // request returns a response that is good. A quota that is used up is waited for.
  async request(method, path, body, kind = 'application/json') {
    const headers = { 'Content-Type': kind }
    if (this.token) headers.Authorization = `Bearer ${this.token}`
    for (;;) {
      const response = await fetch(this.base + path, { method, headers, body })
      if (response.ok) return response
      const wait = response.headers.get('Retry-After')
      if (response.status !== 429 || !wait) {
        // Errors are google.rpc.Status as JSON.
        throw new Error(`${method} ${path}: ${(await response.json()).message}`)
      }
      await sleep(1000 * Number(wait))
    }
  }

  async call(method, path, message) {
    return (await this.request(method, path, message && JSON.stringify(message))).json()
  }

  // submit starts a crawl that takes more URLs until it is closed.
  async submit(spec) {
    return (await this.call('POST', '/crawls', { spec })).crawl.id
  }

  // add adds URLs; the answer means that they are durable.
  async add(crawl, urls) {
    return (await this.request('POST', `/crawls/${crawl}/urls`, urls.join('\n'), 'text/plain')).json()
  }

  // close takes no more URLs: the crawl ends when nothing is left to visit.
  close(crawl) {
    return this.call('POST', `/crawls/${crawl}/close`, {})
  }

  // wait waits for the end of a crawl and returns it.
  async wait(crawl) {
    for (;;) {
      const answer = await this.call('GET', `/crawls/${crawl}/wait?timeout=60s`)
      if (answer.done) return answer.crawl
    }
  }

  // items are the items as they come, until the crawl has ended.
  async *items(crawl) {
    const response = await this.request('GET', `/crawls/${crawl}/items/tail`)
    let rest = ''
    for await (const piece of response.body.pipeThrough(new TextDecoderStream())) {
      const lines = (rest + piece).split('\n')
      rest = lines.pop() ?? ''
      for (const line of lines) {
        const message = JSON.parse(line)
        if (message.error) throw new Error(message.error.message)
        yield message.item
      }
    }
  }
}

const [base, ...urls] = process.argv.slice(2)
if (urls.length === 0) {
  console.error('usage: node crawl.mjs http://127.0.0.1:7090 https://shop.example/')
  process.exit(2)
}
const weir = new Weir(base, process.env.WEIR_TOKEN)
const crawl = await weir.submit({
  name: 'node',
  seeds: { urls: urls.slice(0, 1) },
  politeness: { delay: process.env.DELAY ?? '1s' },
  limits: { pages: 100 }
})
console.error(await weir.add(crawl, urls))
await weir.close(crawl)
for await (const item of weir.items(crawl)) console.log(JSON.stringify(item))
const ended = await weir.wait(crawl)
console.error(ended.state, ended.stats.pages ?? 0, 'pages')
