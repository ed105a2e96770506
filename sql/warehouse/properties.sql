-- Reading the properties of tracks from event tables, by id.

-- name: read_properties
-- does: reads the rows of an event table with these ids
-- dialect: sqlite
-- identifiers: key, id, columns, table
SELECT :"columns"
FROM (SELECT t.*, CAST(t.:"id" AS TEXT) AS rehook_sync__id FROM :"table" AS t) AS found
WHERE :"key" IN (SELECT wanted.value FROM json_each(:ids) AS wanted)

-- name: read_properties
-- does: reads the rows of an event table with these ids
-- dialect: postgresql
-- identifiers: key, id, columns, table
SELECT :"columns"
FROM (SELECT t.*, CAST(t.:"id" AS text) AS rehook_sync__id FROM :"table" AS t) AS found
WHERE :"key" = ANY(:ids)

-- name: read_properties_numbers
-- does: does the same where ids may be numbers with decimals
-- dialect: sqlite
-- identifiers: key, id, columns, table
-- words: key_text
SELECT :"columns"
FROM (SELECT t.*, {key_text: t.:"id"} AS rehook_sync__id FROM :"table" AS t) AS found
WHERE :"key" IN (SELECT wanted.value FROM json_each(:ids) AS wanted)

-- name: read_properties_numbers
-- does: does the same where ids are numbers with decimals
-- dialect: postgresql
-- identifiers: key, id, columns, table
-- words: key_text
SELECT :"columns"
FROM (SELECT t.*, {key_text: t.:"id"} AS rehook_sync__id FROM :"table" AS t) AS found
WHERE :"key" = ANY(:ids)

-- name: read_properties
-- does: reads the rows of an event table with these ids
-- identifiers: key, id, columns, table
-- expanding: ids
SELECT :"columns"
FROM (SELECT t.*, t.:"id" AS rehook_sync__id FROM :"table" AS t) AS found
WHERE :"key" IN :ids

-- name: near_in_time
-- does: limits an event table to a range of times
-- identifiers: cursor
AND :"cursor" >= :low AND :"cursor" <= :high
