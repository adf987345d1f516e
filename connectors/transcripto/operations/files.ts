import { z } from 'zod'
import { download, type Schemas, shown } from '../client.ts'
import { code, docs, operation } from './operation.ts'

/** Files of tasks, and reports over a period. */

const file = (says: string, fileType: Schemas['FileType']) =>
  operation({
    says: `${says} (--out)`,
    docs,
    input: z.object({ code }),
    run: ({ code }, ctx) =>
      download({ endpoint: '/get_file', query: { file_type: fileType, task_code: code } }, ctx),
  })

export const files = {
  docx: file('transcript and analysis of a call as DOCX', 'docx_call'),
  txt: file('analysis of a call as text', 'txt_call'),
  audio: file('the recording of a call', 'audio'),
  'video-docx': file('texts of a video as DOCX', 'docx_youtube'),
  'video-txt': file('texts of a video as text', 'txt_youtube'),
}

/** Whoever knows the code of a report may load it: it is printed once, when the report is made, and nowhere else. */
const reportCode = z.string().min(1).max(256).describe('code of the report; keep it secret')
const day = (what: string) =>
  z.union([z.iso.date(), z.iso.datetime({ offset: true, local: true })]).describe(what)

export const reports = {
  create: operation({
    says: 'has a report over a period made; answers its secret code',
    docs,
    changes: 'costs',
    input: z.object({
      from: day('first day'),
      to: day('last day'),
      type: z.string().min(1).max(64).default('standard').describe('standard or business'),
    }),
    run: ({ from, to, type }, ctx) => {
      const json: Schemas['ReportWanted'] = { start_date: from, end_date: to, report_type: type }
      return shown({ endpoint: '/user/callreport', json }, ctx)
    },
  }),
  show: operation({
    says: 'whether the report is completed, and the names of its files',
    docs,
    input: z.object({ code: reportCode }),
    run: ({ code }, ctx) => shown({ endpoint: '/gettask', query: { task_code: code } }, ctx),
  }),
  download: operation({
    says: 'a file of the report, PDF or HTML (--out)',
    docs,
    input: z.object({
      code: reportCode,
      name: z.string().min(1).max(256).describe('name of the file, as report_78157.pdf'),
    }),
    run: ({ code, name }, ctx) => {
      const query = { task_code: code, filename: name }
      return download({ endpoint: '/user/callreport/file', query, withoutToken: true }, ctx)
    },
  }),
}
