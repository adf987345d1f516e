import { mkdtemp, readdir, rm, stat, utimes, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, it } from 'vitest'
import { openFolderMedia } from '../src/media/folder.ts'
import { mediaKit } from './kit/media.ts'

async function temp() {
  const parent = await mkdtemp(join(tmpdir(), 'cordboard-media-'))
  const folder = join(parent, 'media')
  return { folder, drop: () => rm(parent, { recursive: true }) }
}

mediaKit('a folder', async () => {
  const { folder, drop } = await temp()
  return { media: await openFolderMedia(folder), names: () => readdir(folder), drop }
})

it('removes what an ended process left unfinished, but not what another one is writing', async () => {
  const { folder, drop } = await temp()
  await openFolderMedia(folder)
  await writeFile(join(folder, '.a.0011.part'), 'half')
  await writeFile(join(folder, '.b.0011.part'), 'being written')
  await writeFile(join(folder, 'old'), 'kept')
  const yesterday = new Date(Date.now() - 24 * 3_600_000)
  for (const name of ['.a.0011.part', 'old']) await utimes(join(folder, name), yesterday, yesterday)
  await openFolderMedia(folder)
  expect((await readdir(folder)).sort()).toEqual(['.b.0011.part', 'old'])
  await drop()
})

it('keeps its files for their owner', async () => {
  const { folder, drop } = await temp()
  const media = await openFolderMedia(folder)
  await media.put('a', new Uint8Array(1), 1)
  expect((await stat(join(folder, 'a'))).mode & 0o077).toBe(0)
  await drop()
})

it('says that the storage is away, not that the sender is at fault', async () => {
  const { folder, drop } = await temp()
  const media = await openFolderMedia(folder)
  await drop()
  const away = { code: 'storage_unavailable', retry: 'later' }
  await expect(media.put('a', new Uint8Array(1), 1)).rejects.toMatchObject(away)
  await expect(media.check()).rejects.toMatchObject(away)
})
