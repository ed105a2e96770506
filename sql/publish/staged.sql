-- The rows of the copy where they are put beside it first, and then into it by one transaction: Redshift.

-- name: make_staged
-- does: makes a table of the session that has the columns of another
-- dialect: redshift
-- identifiers: staged, table
CREATE TEMPORARY TABLE :"staged" AS SELECT * FROM :"table" WHERE 1 = 0;

-- name: drop_staged
-- does: drops it
-- dialect: redshift
-- identifiers: staged
DROP TABLE :"staged";

-- name: hold_published
-- does: keeps others from taking the copy over while a batch is written
-- dialect: redshift
-- identifiers: table
-- Whoever waits for a lock after his first statement would go on by what he saw before it.
LOCK TABLE :"table";

-- name: stage_calls
-- does: puts calls beside their table; the values are repeated for each row
-- dialect: redshift
-- identifiers: staged
-- words: kept_text, time_type
INSERT INTO :"staged" (
    stream, message_id, user_id, event, received_at, occurred_at, status, reason, detail, http_status, attempts, sent_as, run_id,
    first_seen_at, settled_at, source
) VALUES (
    CAST(:stream AS {kept_text}), CAST(:message_id AS {kept_text}), CAST(:user_id AS {kept_text}), CAST(:event AS {kept_text}),
    CAST(:received_at AS {time_type}), CAST(:occurred_at AS {time_type}), CAST(:status AS {kept_text}),
    CAST(:reason AS {kept_text}), CAST(:detail AS {kept_text}), CAST(:http_status AS integer), CAST(:attempts AS integer),
    CAST(:sent_as AS {kept_text}), CAST(:run_id AS {kept_text}), CAST(:first_seen_at AS {time_type}),
    CAST(:settled_at AS {time_type}), CAST(:source AS {kept_text})
);

-- name: put_calls
-- does: writes the calls that were put beside their table, whose keys are not there
-- dialect: redshift
-- identifiers: table, staged
INSERT INTO :"table" (
    stream, message_id, user_id, event, received_at, occurred_at, status, reason, detail, http_status, attempts, sent_as, run_id,
    first_seen_at, settled_at, source
)
SELECT
    stream, message_id, user_id, event, received_at, occurred_at, status, reason, detail, http_status, attempts, sent_as, run_id,
    first_seen_at, settled_at, source
FROM :"staged";

-- name: remove_calls
-- does: removes the calls whose keys were put beside their table
-- dialect: redshift
-- identifiers: table, bare, staged
-- Blanks at the end of a text do not count when it is compared, so its length is.
DELETE FROM :"table" USING :"staged" AS n
WHERE :"bare".stream = n.stream AND LENGTH(:"bare".stream) = LENGTH(n.stream)
    AND :"bare".message_id = n.message_id AND LENGTH(:"bare".message_id) = LENGTH(n.message_id);

-- name: stage_customers
-- does: puts customers beside their table; the values are repeated for each row
-- dialect: redshift
-- identifiers: staged
-- words: kept_text, time_type
INSERT INTO :"staged" (
    source_id, referral_code, accepted_code, first_sent_at, last_sent_at, last_message_id, refreshed_by, code_carried_at
) VALUES (
    CAST(:source_id AS {kept_text}), CAST(:referral_code AS {kept_text}), CAST(:accepted_code AS {kept_text}),
    CAST(:first_sent_at AS {time_type}), CAST(:last_sent_at AS {time_type}), CAST(:last_message_id AS {kept_text}),
    CAST(:refreshed_by AS {kept_text}), CAST(:code_carried_at AS {time_type})
);

-- name: put_customers
-- does: writes the customers that were put beside their table, whose keys are not there
-- dialect: redshift
-- identifiers: table, staged
INSERT INTO :"table" (
    source_id, referral_code, accepted_code, first_sent_at, last_sent_at, last_message_id, refreshed_by, code_carried_at
)
SELECT
    source_id, referral_code, accepted_code, first_sent_at, last_sent_at, last_message_id, refreshed_by, code_carried_at
FROM :"staged";

-- name: remove_customers
-- does: removes the customers whose keys were put beside their table
-- dialect: redshift
-- identifiers: table, bare, staged
-- Blanks at the end of a text do not count when it is compared, so its length is.
DELETE FROM :"table" USING :"staged" AS n
WHERE :"bare".source_id = n.source_id AND LENGTH(:"bare".source_id) = LENGTH(n.source_id);

-- name: stage_runs
-- does: puts runs beside their table; the values are repeated for each row
-- dialect: redshift
-- identifiers: staged, trigger
-- words: kept_text, time_type
INSERT INTO :"staged" (
    run_id, :"trigger", status, since_at, until_at, started_at, finished_at, rows_read, sent, rejected, failed, in_doubt,
    unchanged, merged, requests, error, version, waiting, properties_wait_s, skipped, kind, settings, open_periods
) VALUES (
    CAST(:run_id AS {kept_text}), CAST(:trigger AS {kept_text}), CAST(:status AS {kept_text}), CAST(:since_at AS {time_type}),
    CAST(:until_at AS {time_type}), CAST(:started_at AS {time_type}), CAST(:finished_at AS {time_type}),
    CAST(:rows_read AS bigint), CAST(:sent AS bigint), CAST(:rejected AS bigint), CAST(:failed AS bigint),
    CAST(:in_doubt AS bigint), CAST(:unchanged AS bigint), CAST(:merged AS bigint), CAST(:requests AS bigint),
    CAST(:error AS {kept_text}), CAST(:version AS {kept_text}), CAST(:waiting AS bigint), CAST(:properties_wait_s AS bigint),
    CAST(:skipped AS bigint), CAST(:kind AS {kept_text}), CAST(:settings AS {kept_text}), CAST(:open_periods AS bigint)
);

-- name: put_runs
-- does: writes the runs that were put beside their table, whose keys are not there
-- dialect: redshift
-- identifiers: table, staged, trigger
INSERT INTO :"table" (
    run_id, :"trigger", status, since_at, until_at, started_at, finished_at, rows_read, sent, rejected, failed, in_doubt,
    unchanged, merged, requests, error, version, waiting, properties_wait_s, skipped, kind, settings, open_periods
)
SELECT
    run_id, :"trigger", status, since_at, until_at, started_at, finished_at, rows_read, sent, rejected, failed, in_doubt,
    unchanged, merged, requests, error, version, waiting, properties_wait_s, skipped, kind, settings, open_periods
FROM :"staged";

-- name: remove_runs
-- does: removes the runs whose keys were put beside their table
-- dialect: redshift
-- identifiers: table, bare, staged
-- Blanks at the end of a text do not count when it is compared, so its length is.
DELETE FROM :"table" USING :"staged" AS n
WHERE :"bare".run_id = n.run_id AND LENGTH(:"bare".run_id) = LENGTH(n.run_id);

-- name: stage_watermarks
-- does: puts watermarks beside their table; the values are repeated for each row
-- dialect: redshift
-- identifiers: staged
-- words: kept_text, time_type
INSERT INTO :"staged" (
    run_id, stream, low_at, high_at, rows_new, recorded_at, source, lacks_table
) VALUES (
    CAST(:run_id AS {kept_text}), CAST(:stream AS {kept_text}), CAST(:low_at AS {time_type}), CAST(:high_at AS {time_type}),
    CAST(:rows_new AS bigint), CAST(:recorded_at AS {time_type}), CAST(:source AS {kept_text}), CAST(:lacks_table AS {kept_text})
);

-- name: put_watermarks
-- does: writes the watermarks that were put beside their table, whose keys are not there
-- dialect: redshift
-- identifiers: table, staged
INSERT INTO :"table" (
    run_id, stream, low_at, high_at, rows_new, recorded_at, source, lacks_table
)
SELECT
    run_id, stream, low_at, high_at, rows_new, recorded_at, source, lacks_table
FROM :"staged";

-- name: remove_watermarks
-- does: removes the watermarks whose keys were put beside their table
-- dialect: redshift
-- identifiers: table, bare, staged
-- Blanks at the end of a text do not count when it is compared, so its length is.
DELETE FROM :"table" USING :"staged" AS n
WHERE :"bare".run_id = n.run_id AND LENGTH(:"bare".run_id) = LENGTH(n.run_id)
    AND :"bare".source = n.source AND LENGTH(:"bare".source) = LENGTH(n.source)
    AND :"bare".stream = n.stream AND LENGTH(:"bare".stream) = LENGTH(n.stream);
