import { script } from "./storyScript.ts"

const escapeHtml = (text: string): string => text.replace(/[&<>"']/g, (character) => `&#${character.charCodeAt(0)};`)

/** JSON that cannot end the element it is in, whatever texts it holds. */
const embedded = (data: unknown): string =>
  JSON.stringify(data).replace(
    /[<>&\u2028\u2029]/g,
    (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, "0")}`
  )

const style = `
:root { color-scheme: light dark; --bg: #fff; --fg: #1b1f24; --dim: #68707a; --line: #d9dde2; --card: #f6f7f9;
  --good: #1a7f4b; --bad: #c62f2f; --warn: #b06a00; --blue: #2a62c9; --fault: #e9b949; --up: #cfe6d8; --down: #f0caca;
  --paused: #d8d2ec; }
@media (prefers-color-scheme: dark) { :root { --bg: #14171b; --fg: #e4e7eb; --dim: #98a1ab; --line: #2f353c;
  --card: #1c2126; --good: #58c48d; --bad: #f0736f; --warn: #e0a14a; --blue: #7aa7ff; --fault: #a8801f; --up: #1f3a2b;
  --down: #4a2323; --paused: #38315a; } }
* { box-sizing: border-box }
body { margin: 0; padding: 20px 24px 60px; background: var(--bg); color: var(--fg);
  font: 14px/1.45 system-ui, sans-serif; }
h1 { font-size: 20px; margin: 0 0 4px } h2 { font-size: 15px; margin: 26px 0 8px }
.dim { color: var(--dim) } code, .mono { font-family: ui-monospace, monospace; font-size: 12px }
.facts { display: flex; flex-wrap: wrap; gap: 6px 18px; margin: 6px 0 14px }
.verdict { display: inline-block; padding: 1px 9px; border-radius: 9px; color: var(--bg); font-weight: 600 }
.good { background: var(--good) } .bad { background: var(--bad) }
.failure { border-left: 3px solid var(--bad); background: var(--card); padding: 5px 10px; margin: 4px 0; cursor: pointer }
.panes { display: grid; grid-template-columns: minmax(320px, 420px) 1fr; gap: 20px; align-items: start }
@media (max-width: 900px) { .panes { grid-template-columns: 1fr } }
.card { background: var(--card); border: 1px solid var(--line); border-radius: 8px; padding: 10px 12px }
svg text { fill: var(--fg); font: 11px system-ui, sans-serif } svg .small { font-size: 9.5px; fill: var(--dim);
  paint-order: stroke; stroke: var(--card); stroke-width: 3px }
table { border-collapse: collapse; width: 100% } th { text-align: left; font-weight: 600; color: var(--dim) }
th, td { padding: 2px 10px 2px 0; border-bottom: 1px solid var(--line); vertical-align: top }
td.num, th.num { text-align: right; font-variant-numeric: tabular-nums } tr.pick { cursor: pointer }
tr.pick:hover, tr.on { background: var(--line) } .scroll { max-height: 420px; overflow: auto }
input[type=range] { width: 100% } .legend { display: flex; flex-wrap: wrap; gap: 4px 14px; font-size: 12px }
.swatch { display: inline-block; width: 11px; height: 11px; border-radius: 2px; margin-right: 5px; vertical-align: -1px }
`

/** A page that shows the data of a story. */
export const page = (title: string, story: unknown): string =>
  `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>${escapeHtml(title)}</title>
<style>${style}</style>
</head>
<body>
<div id="app"></div>
<script type="application/json" id="story">${embedded(story)}</script>
<script>${script}</script>
</body>
</html>
`
