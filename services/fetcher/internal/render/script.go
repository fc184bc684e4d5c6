package render

import (
	"encoding/json"
	"strings"
)

// findScript waits until a selector finds something; false when the selector is none.
const findScript = `(selector => new Promise(done => {
	const there = () => { try { return document.querySelector(selector) !== null } catch { done(false) } };
	if (there()) return done(true);
	const seen = new MutationObserver(() => { if (there()) { seen.disconnect(); done(true) } });
	seen.observe(document, {childList: true, subtree: true, attributes: true});
}))`

// placeScript scrolls to an element and returns where to click on it; null where
// something else is in the way, and the element was clicked by itself.
const placeScript = `(selector => {
	const e = document.querySelector(selector);
	e.scrollIntoView({block: "center", inline: "center", behavior: "instant"});
	const r = e.getBoundingClientRect(), x = r.left + r.width / 2, y = r.top + r.height / 2;
	const top = document.elementFromPoint(x, y);
	if (top && (e === top || e.contains(top) || top.shadowRoot)) return {x, y};
	e.click();
	return null;
})`

// fillScript fills a field in as typing does, as far as the page can tell. The
// setter is that of the element's kind: frameworks put their own over it.
const fillScript = `((selector, text) => {
	const e = document.querySelector(selector);
	e.focus();
	const kind = [HTMLInputElement, HTMLTextAreaElement, HTMLSelectElement].find(k => e instanceof k);
	if (kind) Object.getOwnPropertyDescriptor(kind.prototype, "value").set.call(e, text);
	else e.textContent = text;
	e.dispatchEvent(new InputEvent("input", {bubbles: true, data: text, inputType: "insertText"}));
	e.dispatchEvent(new Event("change", {bubbles: true}));
})`

// scrollScript scrolls to the end of the page and of what scrolls inside it, and
// returns the height of the page.
const scrollScript = `(() => {
	const end = document.scrollingElement || document.documentElement;
	window.scrollTo(0, end.scrollHeight);
	for (const e of document.querySelectorAll("main, [role=feed], [data-scroll], div, section")) {
		if (e.scrollHeight > e.clientHeight + 40 && e.clientHeight > 200 && /auto|scroll/.test(getComputedStyle(e).overflowY)) e.scrollTop = e.scrollHeight;
	}
	window.dispatchEvent(new Event("scroll"));
	return end.scrollHeight;
})()`

// htmlScript keeps the document as text, with the open shadow roots in it, and
// returns its length in UTF-16 units.
const htmlScript = `(() => {
	const root = document.documentElement;
	if (!root) { globalThis.weirHTML = ""; return 0 }
	const shadows = [], trees = [document];
	for (let tree; tree = trees.pop();) {
		const walk = document.createTreeWalker(tree, NodeFilter.SHOW_ELEMENT);
		while (walk.nextNode()) if (walk.currentNode.shadowRoot) { shadows.push(walk.currentNode.shadowRoot); trees.push(walk.currentNode.shadowRoot) }
	}
	let text = root.outerHTML;
	if (shadows.length && root.getHTML) {
		const end = "</" + root.localName + ">", bare = root.cloneNode(false).outerHTML;
		text = bare.slice(0, bare.length - end.length) + root.getHTML({shadowRoots: shadows}) + end;
	}
	const type = document.doctype ? new XMLSerializer().serializeToString(document.doctype) + "\n" : "";
	globalThis.weirHTML = type + text + "\n";
	return globalThis.weirHTML.length;
})()`

// pieceScript returns a piece of that text from a place on, without splitting a
// character.
const pieceScript = `((at, length) => {
	const text = globalThis.weirHTML;
	let end = Math.min(at + length, text.length);
	if (end < text.length && (text.charCodeAt(end - 1) & 0xFC00) === 0xD800) end--;
	return text.slice(at, end);
})`

// call makes the call of a function of scripts.
func call(function string, args ...any) string {
	coded := make([]string, len(args))
	for i, a := range args {
		b, err := json.Marshal(a)
		if err != nil { // strings and numbers always have a form
			b = []byte("null")
		}
		coded[i] = string(b)
	}
	return function + "(" + strings.Join(coded, ", ") + ")"
}
