// Generated from xosum.yaml by scripts/generate-vendor-types.ts. Do not edit.

export interface paths {
    "/api/createTranscription": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /** Creates a transcription job; the audio is put to the answer's uploadUrl. */
        post: operations["createTranscription"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/getTranscription": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** State and result of a job. 60 requests a minute for a key, in windows that start with the minute. */
        get: operations["getTranscription"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
}
export interface webhooks {
    analysis_ready: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /** The checklist analysis of a job that was created with a checklistId. */
        post: operations["analysisReady"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    transcript_ready: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /** The transcript of a job. Answer 200 quickly; delivery is not repeated for ever. */
        post: operations["transcriptReady"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
}
export interface components {
    schemas: {
        AnalysisReady: {
            analysisId: string;
            checklistId?: string | null;
            /** @description The name when the analysis was made. */
            checklistName?: string | null;
            docId: string;
            /** @constant */
            event_type: "analysis_ready";
            /** Format: uri */
            link?: string;
            metadata?: components["schemas"]["Metadata"];
            /** @description By id of the question. */
            results?: {
                [key: string]: components["schemas"]["AnalysisResultEntry"];
            };
            secret: string;
        };
        /** @description Referred to by the vendor's page, shown in no copy of it. */
        AnalysisResultEntry: unknown;
        CreatedTranscription: {
            /** @description Id of the job. */
            docId: string;
            /**
             * Format: uri
             * @description Pre-signed; takes one MP3 by PUT for one hour.
             */
            uploadUrl: string;
        };
        CreateTranscription: {
            /** @description Id of a QA checklist of the web app. */
            checklistId?: string;
            metadata?: components["schemas"]["Metadata"];
            type: components["schemas"]["Type"];
        };
        /** @description Free; comes back with the result. */
        Metadata: {
            [key: string]: unknown;
        };
        Transcription: {
            /** Format: date-time */
            createdAt: string;
            docId: string;
            duration: number;
            /** @description Only when failed. */
            error?: string;
            /** @description Only when transcribed. */
            languageCode?: string;
            metadata: components["schemas"]["Metadata"];
            /** @description Only when transcribed. */
            resolution?: string;
            /** @description transcribed and failed are final. */
            status: string;
            /** @description Only when transcribed. */
            title?: string;
            /** @description Only when transcribed. */
            transcription?: string;
            type: components["schemas"]["Type"];
        } & (unknown & unknown);
        TranscriptReady: {
            docId: string;
            /** @constant */
            event_type?: "transcript_ready";
            /**
             * Format: uri
             * @description The recording in the web app.
             */
            link?: string;
            metadata?: components["schemas"]["Metadata"];
            /** @description Short summary or outcome. */
            resolution?: string;
            /** @description The account's webhookSecret. */
            secret: string;
            /** @description Made by the service. */
            title?: string;
            transcription: string;
        };
        /**
         * @description single_voice gives plain text; phone_call gives text with the labels "Խոսնակ 1:" and "Խոսնակ 2:", fixed at two speakers.
         * @enum {string}
         */
        Type: "single_voice" | "phone_call";
    };
    responses: never;
    parameters: never;
    requestBodies: never;
    headers: never;
    pathItems: never;
}
export type $defs = Record<string, never>;
export interface operations {
    createTranscription: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/json": components["schemas"]["CreateTranscription"];
            };
        };
        responses: {
            /** @description The job */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["CreatedTranscription"];
                };
            };
            /** @description Refused */
            default: {
                headers: {
                    [name: string]: unknown;
                };
                content?: never;
            };
        };
    };
    getTranscription: {
        parameters: {
            query: {
                docId: string;
            };
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description The job */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Transcription"];
                };
            };
            /** @description Over the limit. Wait at least Retry-After. */
            429: {
                headers: {
                    /** @description Seconds until the next window. */
                    "Retry-After"?: number;
                    [name: string]: unknown;
                };
                content?: never;
            };
            /** @description Refused */
            default: {
                headers: {
                    [name: string]: unknown;
                };
                content?: never;
            };
        };
    };
    analysisReady: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/json": components["schemas"]["AnalysisReady"];
            };
        };
        responses: {
            /** @description Taken */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content?: never;
            };
        };
    };
    transcriptReady: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/json": components["schemas"]["TranscriptReady"];
            };
        };
        responses: {
            /** @description Taken */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content?: never;
            };
        };
    };
}
