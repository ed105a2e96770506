-- Reading the properties of tracks from event tables, by id.

-- name: read_properties
-- does: reads the rows of an event table with these ids
-- identifiers: key, id, columns, table
-- words: text_type, among
SELECT :"columns"
FROM (SELECT t.*, CAST(t.:"id" AS {text_type}) AS rehook_sync__id FROM :"table" AS t) AS found
WHERE :"key" {among: :ids}

-- name: read_properties_numbers
-- does: does the same where ids may be numbers with decimals
-- identifiers: key, id, columns, table
-- words: key_text, among
SELECT :"columns"
FROM (SELECT t.*, {key_text: t.:"id"} AS rehook_sync__id FROM :"table" AS t) AS found
WHERE :"key" {among: :ids}

-- name: near_in_time
-- does: limits an event table to a range of times
-- identifiers: cursor
AND :"cursor" >= :low AND :"cursor" <= :high
