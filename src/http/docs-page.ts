import { html, raw } from 'hono/html'
import { curlOf, nameOf } from './docs-curl.ts'
import type { Operation, Reference, Schema } from './docs-model.ts'
import { DOCS_STYLE } from './docs-style.ts'

/** The API reference as one page: no script, nothing loaded from anywhere, readable in a terminal browser. */
export async function renderDocs(reference: Reference, base: string): Promise<string> {
  const { title, description, tags, schemas } = reference
  const page = await html`<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>${title} API</title>
<style>${raw(DOCS_STYLE)}</style>
</head>
<body>
<nav aria-label="Operations">
<a class="title" href="#top">${title} API</a>
${tags.map(
  (tag) => html`<p>${tag.name}</p>
<ul>${tag.operations.map(
    ({ id, method, path }) => html`<li><a href="#${id}"><b>${method}</b> ${path}</a></li>`,
  )}</ul>`,
)}
<p>Schemas</p>
<ul>${Object.keys(schemas).map((name) => html`<li><a href="#schema-${name}">${name}</a></li>`)}</ul>
</nav>
<main id="top">
<h1>${title} API</h1>
<p>${inCode(description)} A star marks what is required.</p>
<p>The same as a document for tools: <a href="/openapi.json">openapi.json</a></p>
${tags.map(
  (tag) => html`<h2>${tag.name}</h2>
<p>${tag.description}</p>
${tag.operations.map((operation) => operationSection(operation, base, schemas))}`,
)}
<h2>Schemas</h2>
${Object.entries(schemas).map(
  ([name, schema]) => html`<section id="schema-${name}"><h3>${name}</h3>${members(schema)}</section>
`,
)}
</main>
</body>
</html>
`
  return page.toString()
}

function operationSection(operation: Operation, base: string, schemas: Record<string, Schema>) {
  const { id, method, path, summary, description, role, parameters, body, responses } = operation
  return html`<section id="${id}">
<h3><b>${method}</b> <code>${path}</code></h3>
<p>${summary}</p>
${description === '' ? '' : html`<p>${inCode(description)}</p>`}
<p class="role">${role === null ? 'No token needed.' : html`Needs the role <b>${role}</b>.`}</p>
${parameters.length === 0 ? '' : html`<h4>Parameters</h4>${parameterTable(parameters)}`}
${body === null ? '' : html`<h4>Body</h4><p>${typeOf(body)}</p>`}
<h4>Answers</h4>
<table><tbody>${responses.map(
    (response) => html`<tr><td><b>${response.status}</b></td><td>${response.type ?? ''}</td>
<td>${response.schema === null ? '' : typeOf(response.schema)}</td><td>${inCode(response.description)}</td></tr>
`,
  )}</tbody></table>
<h4>Try it</h4>
<pre tabindex="0" title="One click selects all of it">${curlOf(operation, base, schemas)}</pre>
</section>
`
}

function parameterTable(parameters: Operation['parameters']) {
  return html`<table><thead><tr><th>Name</th><th>In</th><th>Type</th><th>Meaning</th></tr></thead>
<tbody>${parameters.map(
    (parameter) => html`<tr><td><code>${parameter.name}</code>${parameter.required ? ' *' : ''}</td>
<td>${parameter.in}</td><td>${typeOf(parameter.schema)}</td>
<td>${inCode(parameter.description ?? parameter.schema.description ?? '')}</td></tr>
`,
  )}</tbody></table>`
}

type Html = ReturnType<typeof html>

/** The members of an object, objects within it in place. */
function members(schema: Schema): Html {
  const object = objectIn(schema)
  if (object?.properties === undefined) return html`<p>${typeOf(schema)}</p>`
  return html`<ul class="members">${Object.entries(object.properties).map(([name, property]) => {
    const inner = objectIn(property)
    const star = object.required?.includes(name) ? ' *' : ''
    return html`<li><code>${name}</code>${star} <span>${typeOf(property)}</span> ${inCode(property.description ?? '')}
${inner?.properties === undefined ? '' : members(inner)}</li>
`
  })}</ul>`
}

/** The object that a schema describes itself or as the item of an array; references are links instead. */
function objectIn(schema: Schema): Schema | undefined {
  if (schema.properties !== undefined) return schema
  if (schema.items !== undefined) return objectIn(schema.items)
  if (typeof schema.additionalProperties === 'object') return objectIn(schema.additionalProperties)
  return [...(schema.anyOf ?? []), ...(schema.oneOf ?? []), ...(schema.allOf ?? [])].find((one) =>
    objectIn(one),
  )
}

function typeOf(schema: Schema): Html {
  if (schema.$ref !== undefined) {
    const name = nameOf(schema.$ref)
    return html`<a href="#schema-${name}">${name}</a>`
  }
  const choices = schema.anyOf ?? schema.oneOf ?? schema.allOf
  if (choices !== undefined) return joined(choices.map(typeOf), ' or ')
  if (schema.enum !== undefined) return html`${schema.enum.map(String).join(' | ')}`
  if (schema.const !== undefined) return html`${JSON.stringify(schema.const)}`
  if (schema.prefixItems !== undefined) return html`[${joined(schema.prefixItems.map(typeOf), ', ')}]`
  if (schema.items !== undefined) return html`list of ${typeOf(schema.items)}`
  if (typeof schema.additionalProperties === 'object') {
    return html`map of ${typeOf(schema.additionalProperties)}`
  }
  const names = [schema.type ?? 'anything'].flat().join(' or ')
  return html`${names}${schema.format === undefined ? '' : ` (${schema.format})`}${
    schema.default === undefined ? '' : `, else ${JSON.stringify(schema.default)}`
  }`
}

function joined(parts: readonly Html[], between: string): Html {
  return html`${parts.flatMap((part, index) => (index === 0 ? [part] : [between, part]))}`
}

/** What stands between backticks, as code. */
function inCode(text: string) {
  return text.split('`').map((part, index) => (index % 2 === 1 ? html`<code>${part}</code>` : part))
}
