/** How the page looks: light and dark, from a telephone to a wall. */

export const pageStyle = `
:root{color-scheme:light;--bg:#fcfcfd;--panel:#f2f4f7;--raised:#ffffff;--text:#1b2430;--muted:#5b6678;--line:#d9dee6;
--accent:#2563c4;--focus:#2563c4;--shadow:0 6px 24px rgba(20,30,50,.16)}
:root[data-theme=dark]{color-scheme:dark;--bg:#0f141b;--panel:#171e28;--raised:#1e2733;--text:#e8edf4;--muted:#9aa7ba;
--line:#2b3543;--accent:#6ea6f2;--focus:#8ab8ff;--shadow:0 6px 24px rgba(0,0,0,.5)}
*{box-sizing:border-box}
html,body{height:100%;margin:0}
body{background:var(--bg);color:var(--text);font:14px/1.45 system-ui,-apple-system,"Segoe UI",Roboto,"Helvetica Neue",Arial,sans-serif;
display:grid;grid-template:auto 1fr/1fr 340px;overflow:hidden}
header{grid-column:1/-1;display:flex;gap:10px 16px;align-items:center;flex-wrap:wrap;padding:10px 18px;border-bottom:1px solid var(--line)}
h1{font-size:18px;margin:0;line-height:1.2}
.sub{color:var(--muted);font-size:12.5px}
.grow{flex:1}
button,select,input{font:inherit;color:inherit;background:var(--raised);border:1px solid var(--line);border-radius:8px;padding:5px 10px}
button{cursor:pointer}
button[aria-selected=true],button[aria-pressed=true]{background:var(--accent);border-color:var(--accent);color:#fff}
:root[data-theme=dark] button[aria-selected=true],:root[data-theme=dark] button[aria-pressed=true]{color:#0f141b}
:focus-visible{outline:2px solid var(--focus);outline-offset:1px}
input[type=search]{width:min(300px,40vw)}
.tabs{display:flex;gap:4px}
main{position:relative;min-width:0;min-height:0;overflow:hidden}
main>section{position:absolute;inset:0;overflow:auto}
main>section[hidden]{display:none}
#map{overflow:hidden}
canvas{display:block;width:100%;height:100%;touch-action:none;cursor:grab}
canvas.moving{cursor:grabbing}
canvas.over{cursor:pointer}
.zoom{position:absolute;left:14px;bottom:14px;display:flex;gap:4px}
.zoom button{min-width:36px}
.key{position:absolute;left:170px;bottom:20px;color:var(--muted);font-size:12px;pointer-events:none}
#tip{position:absolute;pointer-events:none;max-width:320px;background:var(--raised);border:1px solid var(--line);border-radius:10px;
box-shadow:var(--shadow);padding:8px 12px;font-size:12.5px;overflow-wrap:anywhere;z-index:2}
#tip b{display:block;font-size:13.5px}
#tip span{color:var(--muted)}
aside{overflow:auto;background:var(--panel);border-left:1px solid var(--line);padding:14px 18px 30px}
h2{font-size:11px;letter-spacing:.06em;text-transform:uppercase;color:var(--muted);margin:18px 0 8px}
#details>h2:first-child,.card h2{margin-top:0}
#legend{margin-top:18px}
.row{display:flex;gap:8px;align-items:center}
.row label{flex:1}
.cat{display:grid;grid-template-columns:18px 14px 1fr auto;gap:6px;align-items:center;padding:2px 0;cursor:pointer}
.cat .dot{width:12px;height:12px;border-radius:50%}
.cat .n{color:var(--muted);font-variant-numeric:tabular-nums}
.cat .name{overflow-wrap:anywhere}
.cat i{grid-column:3/-1;height:3px;border-radius:2px;background:var(--line);overflow:hidden}
.cat i b{display:block;height:100%}
.cat input{margin:0}
.shapes{display:flex;gap:14px;color:var(--muted);font-size:12px;margin-top:8px;flex-wrap:wrap}
.shapes svg{vertical-align:-3px;margin-right:4px}
dl{display:grid;grid-template-columns:auto 1fr;gap:3px 14px;margin:0}
dt{color:var(--muted)}
dd{margin:0;text-align:right;overflow-wrap:anywhere;font-variant-numeric:tabular-nums}
dd.id{font-family:ui-monospace,SFMono-Regular,Menlo,monospace;font-size:11.5px}
.edge{display:inline-block;width:16px;height:3px;border-radius:2px;vertical-align:middle;margin-right:6px}
.list{display:flex;flex-wrap:wrap;gap:4px}
.list button{padding:1px 8px;font-size:12px;border-radius:6px}
table{border-collapse:collapse;width:100%;font-size:13px}
th,td{text-align:left;padding:5px 12px;border-bottom:1px solid var(--line);white-space:nowrap}
td.num,th.num{text-align:right;font-variant-numeric:tabular-nums}
td.id{font-family:ui-monospace,SFMono-Regular,Menlo,monospace;font-size:12px}
td.id div{max-width:150px}
td div{max-width:260px;overflow:hidden;text-overflow:ellipsis}
th{position:sticky;top:0;background:var(--panel);z-index:1}
th button{border:0;background:none;padding:2px;font-weight:600}
tbody tr{cursor:pointer}
tbody tr:hover,tbody tr:focus-visible{background:var(--panel)}
.more{margin:14px}
.cards{display:grid;grid-template-columns:repeat(auto-fill,minmax(370px,1fr));gap:16px;padding:18px}
.card{background:var(--panel);border-radius:12px;padding:14px 18px}
.card p{margin:0 0 4px;color:var(--muted);font-size:12px}
.card dd small{display:block;color:var(--muted)}
.chart{width:100%;height:180px;cursor:default}
.hint{color:var(--muted);font-size:12.5px}
@media (max-width:820px){body{grid-template:auto 1fr 38vh/1fr}aside{border-left:0;border-top:1px solid var(--line)}.key{display:none}}
@media print{body{display:block;overflow:visible}aside,.tabs,.zoom,header input{display:none}main{height:90vh}}
`
