import { bundleWorker, THREE_CONNECTORS } from './test/evidence/worker-bundle.ts'
const text = THREE_CONNECTORS.replace("crm: { use: 'hubspot', token: secret('HUBSPOT_TOKEN') }","crm: { use: 'salesforce', baseUrl:'https://a.my.salesforce.com', clientId: 'x', clientSecret: secret('S') }")
try { const b = await bundleWorker(text)
const parts=[...b.parts].sort((a,c)=>c[1]-a[1]); console.log(b.text.length, parts.slice(0,25)); console.log(parts.filter(([p])=>/faye|jsforce\/lib\/(api|jsforce)/.test(p)).length)
for (const t of ['node:net','node:fs','http_proxy','tough-cookie']) console.log(t,b.text.includes(t)) } catch(e){ console.log(String(e.stderr||e.stdout||e).slice(-3000)) }
