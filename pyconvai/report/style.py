"""What a report looks like: its style sheet, light and dark, from a telephone's width on.

Caller and agent have the colours of the live page.
"""

from __future__ import annotations

STYLE = """
:root {
  --page: #f4f5f8; --card: #ffffff; --ink: #1a1d29; --soft: #5d6478; --rule: #e2e5ee;
  --caller: #d9752b; --caller-soft: #f3d0b5; --agent: #3f6fe4; --agent-soft: #c3d2f8;
  --good: #147a4b; --good-back: #dff4e8; --warn: #8a5a00; --warn-back: #fdf0d2;
  --bad: #b3261e; --bad-back: #fde4e2; --cut: #d23c3c; --tool: #4a5268; --shade: #0000000d;
}
@media (prefers-color-scheme: dark) {
  :root {
    --page: #12141b; --card: #1b1e28; --ink: #e8eaf2; --soft: #9aa2b8; --rule: #2c3140;
    --caller: #f0a05e; --caller-soft: #5c3d23; --agent: #7ba3ff; --agent-soft: #2c3f6e;
    --good: #6fd6a1; --good-back: #143626; --warn: #f0c060; --warn-back: #3a2c0e;
    --bad: #ff9b93; --bad-back: #43191a; --cut: #ff7a72; --tool: #b4bccf; --shade: #ffffff12;
  }
}
* { box-sizing: border-box; }
html { -webkit-text-size-adjust: 100%; text-size-adjust: 100%; }
body {
  margin: 0; background: var(--page); color: var(--ink); line-height: 1.5;
  font: 15px/1.5 system-ui, -apple-system, "Segoe UI", Roboto, "Noto Sans", sans-serif;
}
main { max-width: 1080px; margin: 0 auto; padding: 28px 20px 40px; }
section, header { background: var(--card); border: 1px solid var(--rule); border-radius: 14px; }
section, header { padding: 20px 22px; margin-bottom: 16px; min-width: 0; }
h1 { font-size: 1.6rem; line-height: 1.25; margin: 2px 0 6px; overflow-wrap: anywhere; }
h2 { font-size: 1.02rem; margin: 0 0 12px; }
p { margin: 0 0 8px; overflow-wrap: anywhere; }
.kind, .when, .empty, footer, h2 small, .note, th { color: var(--soft); }
.kind { font-size: .8rem; letter-spacing: .08em; text-transform: uppercase; margin: 0; }
h2 small { font-weight: 400; font-size: .85rem; }
.end { display: flex; flex-wrap: wrap; gap: 8px 12px; align-items: baseline; margin: 12px 0 0; }
.end p { margin: 0; }
.status { font-weight: 650; font-size: .85rem; padding: 3px 10px; border-radius: 99px; }
.good { color: var(--good); } .status.good { background: var(--good-back); }
.warn { color: var(--warn); } .status.warn { background: var(--warn-back); }
.bad { color: var(--bad); } .status.bad { background: var(--bad-back); }
.pair { display: grid; gap: 0 16px; }
@media (min-width: 860px) { .pair:has(> :nth-child(2)) { grid-template-columns: 3fr 2fr; } }
.tiles { display: grid; grid-template-columns: repeat(auto-fit, minmax(132px, 1fr)); gap: 12px; }
.tiles { margin: 0 0 16px; padding: 0; }
.tiles div { background: var(--card); border: 1px solid var(--rule); border-radius: 14px; }
.tiles div { padding: 14px 16px; }
.tiles dt { color: var(--soft); font-size: .8rem; }
.tiles dd { margin: 2px 0 0; font-size: 1.25rem; font-weight: 650; line-height: 1.3; }
.tiles dd small { display: block; font-size: .78rem; font-weight: 400; color: var(--soft); }
.tiles dd small { text-wrap: balance; }
.scroll { overflow-x: auto; padding-bottom: 2px; }
.line { position: relative; padding-top: 26px; }
.lane { height: 74px; }
.lane svg { display: block; height: 100%; }
.lane.caller .loud { fill: var(--caller); } .lane.caller .quiet { fill: var(--caller-soft); }
.lane.agent .loud { fill: var(--agent); } .lane.agent .quiet { fill: var(--agent-soft); }
.spoke { position: relative; height: 7px; margin: 2px 0; background: var(--shade); }
.spoke { border-radius: 4px; }
.spoke i { position: absolute; top: 0; bottom: 0; min-width: 3px; border-radius: 4px; }
.spoke.caller i { background: var(--caller); } .spoke.agent i { background: var(--agent); }
.away { position: absolute; top: 26px; bottom: 22px; overflow: hidden; border-radius: 6px; }
.away { background: repeating-linear-gradient(135deg, var(--shade) 0 6px, transparent 6px 12px); }
.away { border: 1px dashed var(--soft); }
.away b { position: absolute; left: 6px; top: 3px; font-size: .72rem; font-weight: 600; }
.away b { color: var(--soft); white-space: nowrap; background: var(--card); padding: 0 4px; }
.away b { border-radius: 4px; }
.cut, .tool { position: absolute; top: 4px; bottom: 22px; width: 0; }
.cut { border-left: 2px solid var(--cut); } .tool { border-left: 1px dotted var(--tool); }
.cut b { position: absolute; top: 0; left: -6px; border: 5px solid transparent; }
.cut b { border-top: 8px solid var(--cut); border-bottom: 0; }
.tool b { position: absolute; top: 0; left: -9px; min-width: 18px; height: 18px; padding: 0 4px; }
.tool b { background: var(--tool); color: var(--card); border-radius: 9px; text-align: center; }
.tool b, .number { font-size: .7rem; line-height: 18px; font-weight: 700; }
.number { margin: 0 3px; } td .number { margin: 0; }
.tool.failed b { background: var(--bad); }
.axis { position: relative; height: 20px; margin-top: 2px; border-top: 1px solid var(--rule); }
.axis span { position: absolute; font-size: .72rem; color: var(--soft); padding-left: 4px; }
.axis span { border-left: 1px solid var(--rule); line-height: 18px; }
.legend { display: flex; flex-wrap: wrap; gap: 4px 18px; list-style: none; margin: 12px 0 0; }
.legend { padding: 0; font-size: .82rem; color: var(--soft); }
.legend li::before { content: ""; display: inline-block; width: 10px; height: 10px; }
.legend li::before { border-radius: 3px; margin-right: 7px; background: var(--soft); }
.legend .caller::before { background: var(--caller); }
.legend .agent::before { background: var(--agent); }
.legend .cut::before { background: var(--cut); width: 3px; border-radius: 0; }
.legend .tool::before { background: var(--tool); border-radius: 9px; }
.legend li.cut, .legend li.tool, .legend li.away { position: static; border: 0; width: auto; }
.legend li.away { background: none; overflow: visible; }
.plot { position: relative; display: flex; align-items: flex-end; gap: 6px; height: 132px; }
.plot { border-bottom: 1px solid var(--rule); }
.plot.many { gap: 1px; }
.plot > div { flex: 1 1 0; max-width: 64px; height: 100%; position: relative; }
.plot i { position: absolute; bottom: 0; left: 0; right: 0; border-radius: 5px 5px 0 0; }
.plot i { background: var(--agent); min-height: 2px; }
.plot .slow i { background: var(--warn); } .plot .late i { background: var(--bad); }
.plot b { position: absolute; left: -8px; right: -8px; text-align: center; font-size: .74rem; }
.plot b { font-weight: 600; transform: translateY(-2px); z-index: 1; }
.plot b { text-shadow: 0 0 2px var(--card), 0 0 3px var(--card), 0 0 4px var(--card); }
.plot hr { position: absolute; left: 0; right: 0; margin: 0; border: 0; }
.plot hr { border-top: 1px dashed var(--soft); }
.under { display: flex; gap: 6px; font-size: .72rem; color: var(--soft); margin-bottom: 10px; }
.under span { flex: 1 1 0; max-width: 64px; text-align: center; }
ol.talk { list-style: none; margin: 0; padding: 0; display: grid; gap: 12px; }
.talk li { max-width: 78%; min-width: 0; justify-self: start; }
.talk .agent { justify-self: end; }
.talk .event { justify-self: center; max-width: 92%; font-size: .85rem; color: var(--soft); }
.talk .event { border: 1px solid var(--rule); border-radius: 99px; padding: 2px 14px; }
.talk .event { overflow-wrap: anywhere; }
.who { font-size: .78rem; color: var(--soft); margin: 0 4px 3px; }
.agent .who { text-align: right; }
.said { padding: 9px 14px; border-radius: 14px; white-space: pre-wrap; margin: 0; }
.caller .said { background: color-mix(in srgb, var(--caller) 13%, var(--card)); }
.caller .said { border-bottom-left-radius: 4px; }
.agent .said { background: color-mix(in srgb, var(--agent) 13%, var(--card)); }
.agent .said { border-bottom-right-radius: 4px; }
del { color: var(--soft); text-decoration-color: var(--cut); }
.note { font-size: .78rem; margin: 3px 4px 0; } .agent .note { text-align: right; }
header .note, section > .note { margin: 6px 0 0; }
.unseen { font: .72em ui-monospace, monospace; border: 1px solid var(--rule); padding: 0 3px; }
.unseen { border-radius: 4px; color: var(--soft); background: var(--page); }
.table { overflow-x: auto; }
table { border-collapse: collapse; width: 100%; font-size: .9rem; }
th, td { text-align: left; padding: 7px 14px 7px 0; border-top: 1px solid var(--rule); }
th, td { vertical-align: top; overflow-wrap: break-word; }
thead th { border-top: 0; font-weight: 500; font-size: .8rem; white-space: nowrap; }
td:nth-child(3), td:nth-child(4) { white-space: nowrap; }
td.text { min-width: 220px; white-space: pre-wrap; }
.number { background: var(--tool); color: var(--card); border-radius: 9px; padding: 0 6px; }
.number { display: inline-block; }
.facts { display: grid; grid-template-columns: fit-content(60%) minmax(9ch, 1fr); gap: 6px 20px; }
.facts { margin: 0; font-size: .9rem; }
.facts dt { color: var(--soft); } .facts dd { margin: 0; overflow-wrap: anywhere; }
code { font: .9em ui-monospace, SFMono-Regular, Menlo, monospace; overflow-wrap: anywhere; }
summary { cursor: pointer; color: var(--soft); margin-top: 12px; }
details[open] summary { margin-bottom: 8px; }
:focus-visible { outline: 2px solid var(--agent); outline-offset: 2px; }
footer { font-size: .8rem; text-align: center; }
@media (max-width: 560px) {
  main { padding: 12px 10px 28px; } section, header { padding: 16px 14px; }
  h1 { font-size: 1.3rem; } .talk li { max-width: 92%; } .tiles { gap: 8px; }
  .facts { grid-template-columns: 1fr; gap: 0; } .facts dd { margin-bottom: 8px; }
}
@media print {
  body { background: none; } main { max-width: none; padding: 0; }
  section, header, .tiles div { break-inside: avoid; } .scroll { overflow: hidden; }
  .line { min-width: 0 !important; } .lane path, i, b { print-color-adjust: exact; }
}
"""
