/** The style of /docs. Its hash stands in the page's policy, so nothing else can style the page. */
export const DOCS_STYLE = `
:root { color-scheme: light dark; --line: #8884; --soft: #8881; --link: #0b6bcb }
@media (prefers-color-scheme: dark) { :root { --link: #7ab8ff } }
* { box-sizing: border-box }
body { margin: 0; font: 15px/1.5 system-ui, sans-serif; display: grid; grid-template-columns: 19rem minmax(0, 1fr) }
nav { position: sticky; top: 0; height: 100vh; overflow: auto; padding: 1rem; border-right: 1px solid var(--line) }
nav ul { list-style: none; margin: 0; padding: 0 }
nav p { margin: 1rem 0 .25rem; font-weight: 600 }
nav a { display: block; padding: .1rem 0; overflow-wrap: anywhere; font-size: .85rem }
nav .title { font-size: 1.1rem; font-weight: 700 }
main { padding: 1rem 2rem 4rem; max-width: 70rem }
a { color: var(--link); text-decoration: none }
a:hover, a:focus { text-decoration: underline }
section { border-top: 1px solid var(--line); padding: .5rem 0 1rem; scroll-margin-top: .5rem }
section:target { background: var(--soft) }
h3 { margin: .5rem 0; font-weight: 500 }
h4 { margin: 1rem 0 .25rem }
table { border-collapse: collapse; width: 100% }
td, th { text-align: left; vertical-align: top; padding: .2rem .75rem .2rem 0; border-bottom: 1px solid var(--line) }
code, pre { font: .9em/1.5 ui-monospace, monospace }
pre { background: var(--soft); padding: .75rem; overflow: auto; user-select: all }
.members { padding-left: 1.25rem; margin: .25rem 0 }
.members span { opacity: .75 }
@media (max-width: 50rem) { body { display: block } nav { position: static; height: auto } main { padding: 1rem } }
`
