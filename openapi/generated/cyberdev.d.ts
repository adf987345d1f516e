// Generated from cyberdev.yaml by scripts/generate-vendor-types.ts. Do not edit.

export interface paths {
    "/{presigned}": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        /** Step 2 of 3, at the presigned URL of the store, which is another host. Without Authorization. */
        put: operations["putFile"];
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/audio/upload": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /** One stereo recording with its metadata. */
        post: operations["uploadAudio"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/calls": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** Calls and their states; meant to be polled with a filter on the status. */
        get: operations["listCalls"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/calls/process-upload": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /** Step 3 of 3, checks what was put there and begins. It answers with no id of a batch or a call. */
        post: operations["processUpload"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/calls/upload": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /** Step 1 of 3, presigned URLs for a file of metadata and, for a batch of audio, an archive. All three steps within an hour. */
        post: operations["requestUpload"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
}
export type webhooks = Record<string, never>;
export interface components {
    schemas: {
        AudioUpload: {
            /** @description At most 50 MB; .wav .mp3 .flac .ogg .aiff .au; stereo. */
            audio_file: string;
            /** @description Metadata as JSON text */
            metadata: string;
        };
        AudioUploaded: {
            /** Format: uuid */
            audio_id: string;
            message?: string;
            /** @constant */
            status: "ok";
        };
        /** @description No field of a call is on any page. */
        Call: {
            [key: string]: unknown;
        };
        CallPage: {
            data: components["schemas"]["Call"][];
            limit?: number;
            offset?: number;
            /** @constant */
            status: "success";
            total?: number;
        };
        /** @enum {string} */
        Direction: "inbound" | "outbound";
        Failure: {
            /**
             * @example AUTH_MISSING_TOKEN
             * @example AUTH_INVALID_TOKEN
             * @example AUTH_UNAUTHORIZED
             * @example VALIDATION_ERROR
             * @example INVALID_FILE_FORMAT
             * @example FILE_TOO_LARGE
             * @example INVALID_PHONE_NUMBER
             * @example AUDIO_FILENAME_MISMATCH
             * @example FILE_NOT_FOUND
             * @example METADATA_EMPTY
             * @example MISSING_COLUMNS
             * @example EMPTY_CELL
             * @example INVALID_DATETIME
             * @example INVALID_ANONYMIZED_TEXT
             * @example INVALID_ARCHIVE_FORMAT
             */
            code: string;
            /** @description Absent in one of the samples */
            details?: {
                error?: string;
                field?: string;
            };
            message?: string;
            /** @constant */
            status: "error";
        };
        Metadata: {
            /** @description Exactly the name of the uploaded file */
            audio_file_name: string;
            client_phone_number: string;
            direction?: components["schemas"]["Direction"];
            disconnect_reason?: string;
            left_channel: components["schemas"]["Side"];
            operator_group_name?: string;
            operator_name: string;
            /** @description The sender's own id of the call */
            partner_call_id?: string;
            right_channel: components["schemas"]["Side"];
            /** @description Must exist in the organisation */
            segment_type: string;
            /** @description ISO 8601, as 2026-01-13T10:30:00 */
            start_time: string;
        };
        /** @description A row of metadata.csv, whose columns are the fields of Metadata. */
        MetadataRow: components["schemas"]["Metadata"];
        ProcessingBegun: {
            data?: {
                message?: string;
            };
            /** @constant */
            status: "success";
        };
        ProcessUpload: {
            /** @description The audio_key of step 1; left out for transcriptions */
            audios_key?: string;
            metadata_key: string;
        };
        /** @enum {string} */
        Side: "operator" | "client";
        /**
         * @description In the order of the work; completed and failed come last.
         * @enum {string}
         */
        Status: "pending" | "transcription" | "token_lemma" | "llm_analysis" | "scoring" | "completed" | "failed";
        /** @description A row of transcriptions.csv. */
        TranscriptionRow: {
            /** @description Every utterance begins with a tag of its role, and text follows every tag. Operator - operator, оператор, operador; client - client, клиент, абонент, mijoz, cliente, кардар; upper or lower case. */
            anonymized_text: string;
            client_phone_number: string;
            direction?: components["schemas"]["Direction"];
            disconnect_reason?: string;
            /** @description Seconds */
            duration: number;
            /** @description Group of the operator */
            group_name?: string;
            /** @description Another name of the same */
            operator_group_name?: string;
            /** @description The operator's id at the sender */
            operator_id?: string;
            operator_name: string;
            partner_call_id?: string;
            /** @description Must exist in the system */
            segment_type: string;
            /** @description ISO 8601 with T or a space, or seconds since 1970 as a number or as text; UTC. */
            start_time: string | number;
        };
        UploadRequest: {
            /** @description Required for a batch of audio, left out for transcriptions */
            audios_filename?: string;
            /** @description metadata.csv for audio, transcriptions.csv for transcriptions */
            metadata_filename: string;
        };
        UploadUrls: {
            data: {
                /** @description Absent for transcriptions. The next step calls it audios_key. */
                audio_key?: string;
                /**
                 * Format: uri
                 * @description Absent for transcriptions
                 */
                audio_upload_url?: string;
                /** @description Seconds; 3600 in the samples */
                expires_in?: number;
                metadata_key: string;
                /** Format: uri */
                metadata_upload_url: string;
            };
            /** @constant */
            status: "success";
        };
    };
    responses: {
        /** @description AUTH_UNAUTHORIZED */
        Forbidden: {
            headers: {
                [name: string]: unknown;
            };
            content: {
                "application/json": components["schemas"]["Failure"];
            };
        };
        /** @description 429 and 5xx are on no page; the usual meanings are assumed. */
        Other: {
            headers: {
                [name: string]: unknown;
            };
            content?: never;
        };
        /** @description AUTH_MISSING_TOKEN, AUTH_INVALID_TOKEN */
        Unauthorized: {
            headers: {
                [name: string]: unknown;
            };
            content: {
                "application/json": components["schemas"]["Failure"];
            };
        };
    };
    parameters: never;
    requestBodies: never;
    headers: never;
    pathItems: never;
}
export type $defs = Record<string, never>;
export interface operations {
    putFile: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                /** @description The whole of the presigned URL behind its host, query included. */
                presigned: string;
            };
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/zip": string;
                "text/csv": string;
            };
        };
        responses: {
            /** @description Stored; the body is empty */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content?: never;
            };
            /** @description Refused by the store. Its errors are not documented. */
            default: {
                headers: {
                    [name: string]: unknown;
                };
                content?: never;
            };
        };
    };
    uploadAudio: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody: {
            content: {
                "multipart/form-data": components["schemas"]["AudioUpload"];
            };
        };
        responses: {
            /** @description Taken. No other operation is known to take audio_id. */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["AudioUploaded"];
                };
            };
            /** @description INVALID_FILE_FORMAT, FILE_TOO_LARGE, INVALID_PHONE_NUMBER, AUDIO_FILENAME_MISMATCH, VALIDATION_ERROR */
            400: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Failure"];
                };
            };
            401: components["responses"]["Unauthorized"];
            403: components["responses"]["Forbidden"];
            default: components["responses"]["Other"];
        };
    };
    listCalls: {
        parameters: {
            query?: {
                limit?: number;
                offset?: number;
                /** @description Full text over the data of calls. */
                search_query?: string;
                status?: components["schemas"]["Status"];
            };
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description A page of calls */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["CallPage"];
                };
            };
            401: components["responses"]["Unauthorized"];
            403: components["responses"]["Forbidden"];
            default: components["responses"]["Other"];
        };
    };
    processUpload: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/json": components["schemas"]["ProcessUpload"];
            };
        };
        responses: {
            /** @description Validated and queued */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ProcessingBegun"];
                };
            };
            /** @description METADATA_EMPTY, MISSING_COLUMNS, EMPTY_CELL, INVALID_DATETIME, INVALID_ANONYMIZED_TEXT, INVALID_ARCHIVE_FORMAT, INVALID_PHONE_NUMBER, AUDIO_FILENAME_MISMATCH. The status of the first six is on no page. */
            400: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Failure"];
                };
            };
            401: components["responses"]["Unauthorized"];
            403: components["responses"]["Forbidden"];
            /** @description FILE_NOT_FOUND, a file is not where it should have been put */
            404: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Failure"];
                };
            };
            default: components["responses"]["Other"];
        };
    };
    requestUpload: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/json": components["schemas"]["UploadRequest"];
            };
        };
        responses: {
            /** @description Where to put the files */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["UploadUrls"];
                };
            };
            /** @description VALIDATION_ERROR; the sample names a missing metadata_filename in its details */
            400: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Failure"];
                };
            };
            401: components["responses"]["Unauthorized"];
            403: components["responses"]["Forbidden"];
            default: components["responses"]["Other"];
        };
    };
}
