// Generated from transcripto.yaml by scripts/generate-vendor-types.ts. Do not edit.

export interface paths {
    "/addtaskcall": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /** Creates a call task from an uploaded file. A file name that was used before is error 4091. */
        post: operations["addTaskCall"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/addtaskcallbyurl": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /** Creates a call task from a link. Whether it is downloaded before the answer is unknown. */
        post: operations["addTaskCallByUrl"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/calls_analysis_v2/{task_code}": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** Analysis of a call. The introduction leaves out _v2; the reference section and the samples do not. */
        get: operations["getCallAnalysis"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/checklist/answer/{task_id}": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** Answers to the checklist questions of a task, by its internal number. */
        get: operations["getChecklistAnswers"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/gettask": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** State and transcript of a task. */
        get: operations["getTask"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/tasks/filter": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /** Tasks by filter, last updated first. The introduction calls it /user/tasks/filter; the samples do not. */
        post: operations["filterTasks"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/user/tariff": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** The account's plan and what is left of it. */
        get: operations["getTariff"];
        put?: never;
        post?: never;
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
        CallAnalysis: components["schemas"]["Failure"] & {
            /** @description Keys may be added without a change of version. */
            analysis?: {
                actions?: string[];
                analysis_notes?: {
                    [key: string]: unknown;
                };
                /** @description csat 9, politeness 0.95, empathy 0.86 in the sample; only csat's scale (0 to 10) is known. */
                scores?: {
                    [key: string]: unknown;
                };
                /** @enum {string} */
                sentiment?: "positive" | "neutral" | "negative";
                summary?: string;
                tags?: string[];
            } & {
                [key: string]: unknown;
            };
            /** @description The sample and the chapter on checklists disagree; read loosely. */
            call_checklists?: ({
                answers?: {
                    question_id?: number;
                    title?: string;
                    value?: unknown;
                }[];
                checklist_id?: number;
                score?: number;
                title?: string;
            } & {
                [key: string]: unknown;
            })[] | null;
            /** Format: date-time */
            call_datetime?: string;
            call_type?: string;
            category_ids?: number[] | null;
            customer_satisfaction_score?: number | null;
            duration_sec?: number;
            /** Format: uuid */
            task_code?: string;
            transcript?: {
                /** @description BCP 47. */
                language?: string;
                turns?: number;
            };
        };
        CallByUrl: components["schemas"]["CallFields"] & {
            /** Format: uri */
            file_url: string;
        };
        CallFields: {
            /** Format: date */
            call_date?: string;
            /**
             * Format: date-time
             * @description Without a zone it is error 4001.
             */
            call_datetime?: string;
            /** @description inbound and outbound are shown; the page's list is cut off. */
            call_type?: string;
            client_id?: string;
            /** @description 0 is none. */
            directory_id?: number;
            /** @description Default global. */
            operator_name?: string;
            /** @description standard (file sample) and analysis (link sample) are shown; the page's list is cut off. */
            processing_type?: string;
        };
        ChecklistAnswers: components["schemas"]["Failure"] & {
            data?: {
                answer?: string;
                checklist_id?: number;
                question?: string;
            }[];
        };
        /** @description Any reply may carry these. 0 and true, or absent, mean good. */
        Failure: {
            error_code?: number;
            error_message?: string | null;
            success?: boolean;
        };
        /** @description pending, processing, audio_completed, completed, completed2, error. completed is good and error is bad; what audio_completed and completed2 mean is unknown. */
        Status: string;
        Tariff: {
            error_message?: string | null;
            /** @description Spelt differently from every other reply. */
            errorcode?: number;
            success?: boolean;
            tariff?: {
                calls_enabled?: boolean;
                days_left?: number;
                name?: string;
                remaining_resources?: {
                    available_call_minutes?: number;
                };
            };
        };
        Task: components["schemas"]["Failure"] & {
            /** Format: date */
            call_date?: string | null;
            /** Format: date-time */
            created_at?: string;
            directory_id?: number | null;
            file_name?: string | null;
            /** @description Internal number. */
            id?: number;
            report_type?: string | null;
            status?: components["schemas"]["Status"];
            /** Format: uuid */
            task_code?: string;
            /** @description Minutes by the samples. */
            task_length?: number;
            task_result?: {
                blog_post?: string | null;
                image_prompt?: string | null;
                normalized_text?: string | null;
                /** @description The transcript with inline speaker words (the sample begins "Operator:"). Form of the lines, times and the customer's word are unknown. */
                original_text?: string | null;
            } | null;
            type?: string;
            /** Format: date-time */
            updated_at?: string;
        };
        TaskCreated: components["schemas"]["Failure"] & {
            /**
             * Format: uuid
             * @description Public code of the task.
             */
            code?: string;
            /** @description Internal number. */
            id?: number;
        };
        TaskFilter: {
            /** @description Of the call */
            date_from?: string;
            /** @description Of the call */
            date_to?: string;
            /** @description Part of the name, any case (ILIKE). */
            operator_name?: string;
            /** @default 1 */
            page?: number;
            /**
             * @description The greatest value is unknown.
             * @default 10
             */
            per_page?: number;
            /** @enum {string} */
            task_type?: "call" | "chat" | "email" | "audio" | "youtubenew" | "callreport";
        };
        TaskPage: {
            pagination: {
                current_page: number;
                per_page: number;
                total_pages: number;
                total_tasks: number;
            };
            tasks: components["schemas"]["TaskSummary"][];
        };
        TaskSummary: {
            /** Format: date */
            call_date?: string | null;
            /** Format: date-time */
            call_time?: string | null;
            call_type?: string | null;
            /** Format: date-time */
            created_at?: string | null;
            customer_satisfaction_score?: number | null;
            directory_id?: number | null;
            error_message?: string | null;
            file_name?: string | null;
            id?: number;
            operator_name?: string | null;
            report_type?: string | null;
            status?: components["schemas"]["Status"];
            /** Format: uuid */
            task_code?: string;
            /** @description Minutes. */
            task_length?: number;
            type?: string;
            /** Format: date-time */
            updated_at?: string | null;
        };
    };
    responses: never;
    parameters: {
        AcceptLanguage: string;
    };
    requestBodies: never;
    headers: never;
    pathItems: never;
}
export type $defs = Record<string, never>;
export interface operations {
    addTaskCall: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody: {
            content: {
                "multipart/form-data": components["schemas"]["CallFields"] & {
                    file: string;
                };
            };
        };
        responses: {
            /** @description The task, or error 4001, 4024, 4025, 4026, 4044, 4050, 4091, 4092, 5000 */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["TaskCreated"];
                };
            };
        };
    };
    addTaskCallByUrl: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/json": components["schemas"]["CallByUrl"];
            };
        };
        responses: {
            /** @description The task, or error 4001, 4002, 4024, 4044, 4050, 4092, 5000 */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["TaskCreated"];
                };
            };
        };
    };
    getCallAnalysis: {
        parameters: {
            query?: never;
            header?: {
                "Accept-Language"?: components["parameters"]["AcceptLanguage"];
            };
            path: {
                task_code: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description The analysis, or an error (4057 no analysis data) */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["CallAnalysis"];
                };
            };
        };
    };
    getChecklistAnswers: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                task_id: number;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description The answers, or an error */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ChecklistAnswers"];
                };
            };
        };
    };
    getTask: {
        parameters: {
            query: {
                task_code: string;
            };
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description The task, or an error (4020, 4021) with the other fields empty */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Task"];
                };
            };
        };
    };
    filterTasks: {
        parameters: {
            query?: never;
            header?: {
                "Accept-Language"?: components["parameters"]["AcceptLanguage"];
            };
            path?: never;
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/json": components["schemas"]["TaskFilter"];
            };
        };
        responses: {
            /** @description One page of tasks. The sample has neither success nor error_code. */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["TaskPage"];
                };
            };
        };
    };
    getTariff: {
        parameters: {
            query?: never;
            header?: {
                "Accept-Language"?: components["parameters"]["AcceptLanguage"];
            };
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description The plan, or an error */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Tariff"];
                };
            };
        };
    };
}
