import { describe, expect, it } from 'vitest'
import { nestForm } from '../../src/connector/nested-form.ts'

const nest = (query: string) => nestForm(new URLSearchParams(query))

describe('a form nested by brackets', () => {
  it.each([
    ['a=1&b=', { a: '1', b: '' }],
    ['a[b]=1&a[c][d]=2', { a: { b: '1', c: { d: '2' } } }],
    ['a%5Bb%5D%5B0%5D=x&a%5Bb%5D%5B1%5D=y', { a: { b: { 0: 'x', 1: 'y' } } }],
    ['a[]=x&a[]=y', { a: { 0: 'x', 1: 'y' } }],
    ['a[][b]=x&a[][b]=y', { a: { 0: { b: 'x' }, 1: { b: 'y' } } }],
    ['a[b]=1&a[b]=2', { a: { b: '2' } }],
    ['a=1&a[b]=2', { a: { b: '2' } }],
    ['a[b]=1&a=2', { a: '2' }],
    ['a[b=1&b]=2&[c]=3&a[b]c=4', { 'a[b': '1', 'b]': '2', '[c]': '3', 'a[b]c': '4' }],
    ['', {}],
    ['=1', { '': '1' }],
  ])('%s', (query, tree) => {
    expect(nest(query)).toEqual(tree)
  })

  it('never reaches a prototype', () => {
    const tree = nest(
      '__proto__[x]=1&a[__proto__][x]=1&constructor[prototype][x]=1&a[constructor]=1&toString[x]=1&a[b]=2',
    )
    expect(Object.keys(tree)).toEqual(['toString', 'a'])
    expect(tree).toEqual({ toString: { x: '1' }, a: { b: '2' } })
    expect(({} as Record<string, unknown>).x).toBeUndefined()
  })

  it.each([`a${'[b]'.repeat(8)}=1`, `${'a'.repeat(257)}=1`])('refuses %s', (query) => {
    expect(() => nest(query)).toThrow(expect.objectContaining({ code: 'invalid_payload' }))
  })
  it('takes what is just within the bounds', () => {
    expect(nest(`a${'[b]'.repeat(7)}=1&${'a'.repeat(256)}=1`)).toMatchObject({ a: { b: { b: {} } } })
  })
})
