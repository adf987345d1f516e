import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { childOf, parseXml } from '../../src/connector/xml.ts'
import { CordboardError } from '../../src/errors.ts'

describe('XML', () => {
  it('reads elements, attributes, texts, character data and entities', () => {
    const root = parseXml(
      '\uFEFF<?xml version="1.0"?>\n<!-- a - comment -->\n<a x="1 &amp; 2" y=\'"\'><b/>t&lt;<b z = "3">&#xe9;&#233;</b><![CDATA[<&]]></a>\n',
    )
    expect(root).toMatchObject({ name: 'a', attributes: { x: '1 & 2', y: '"' }, text: 't<<&' })
    expect(root.children.map(({ text }) => text)).toEqual(['', 'éé'])
    expect(childOf(root, 'b')?.text).toBe('')
    expect(childOf(root, 'c')).toBeUndefined()
  })

  it.each([
    ['a document type', '<!DOCTYPE a [<!ENTITY b "c">]><a>&b;</a>'],
    ['an unknown entity', '<a>&b;</a>'],
    ['a bare ampersand', '<a>b & c</a>'],
    ['no number of a character', '<a>&#0;</a>'],
    ['a character beyond Unicode', '<a>&#x110000;</a>'],
    ['two roots', '<a/><b/>'],
    ['text before', 'x<a/>'],
    ['text behind', '<a/>x'],
    ['character data behind', '<a/><![CDATA[x]]>'],
    ['a wrong end', '<a><b></a></b>'],
    ['an end too many', '<a/></a>'],
    ['no end', '<a><b></b>'],
    ['half a tag', '<a><b'],
    ['an attribute twice', '<a x="1" x="2"/>'],
    ['an attribute without quotes', '<a x=1/>'],
    ['a comment in a comment', '<!-- a -- b --><a/>'],
    ['nothing', ''],
    ['a number as a name', '<1/>'],
  ])('refuses %s', (_, text) => {
    expect(() => parseXml(text)).toThrow(CordboardError)
  })

  it('names of prototypes are names like others', () => {
    const { attributes } = parseXml('<__proto__ __proto__="1" constructor="2"/>')
    expect(Object.keys(attributes)).toEqual(['__proto__', 'constructor'])
  })

  it('is bounded in depth, number and size', () => {
    expect(() => parseXml('<a>'.repeat(64) + '</a>'.repeat(64))).not.toThrow()
    expect(() => parseXml('<a>'.repeat(65) + '</a>'.repeat(65))).toThrow(/deeper/)
    expect(() => parseXml(`<a>${'<b/>'.repeat(100_000)}</a>`)).toThrow(/more than/)
    expect(() => parseXml('x'.repeat(8 * 1024 * 1024 + 1))).toThrow(/characters/)
    const attributes = (count: number) => Array.from({ length: count }, (_, n) => `a${n}="1"`).join(' ')
    expect(() => parseXml(`<a ${attributes(1_000)}/>`)).not.toThrow()
    expect(() => parseXml(`<a ${attributes(1_001)}/>`)).toThrow(/attributes/)
  })

  it('hostile text takes no longer than its length asks', { timeout: 5000 }, () => {
    for (const piece of ['<a ', '<!--', '<?x?', '<![CDATA[', '<a x="', '&', '<a b="c" ', ']]', '-- ']) {
      expect(() => parseXml(`<r>${piece.repeat(200_000)}`)).toThrow(CordboardError)
    }
  })

  it('any text stands in an element as it was, once escaped', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'grapheme' }), (text) => {
        const escaped = text.replaceAll(/[&<>"]/g, (sign) => `&#${sign.charCodeAt(0)};`)
        expect(parseXml(`<a b="${escaped}">${escaped}</a>`)).toMatchObject({ text, attributes: { b: text } })
      }),
    )
  })
})
