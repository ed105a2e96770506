-- Reading the calls of a window, in slices.

-- name: read_slice
-- does: reads so many calls of a window, by time of arrival and id from a place on, and the place of each
-- identifiers: columns
-- words: in_window, place
SELECT rehook_sync__received_at, rehook_sync__occurred_at, :"columns", {place: rehook_sync__id} AS rehook_sync__place
FROM calls
WHERE {in_window: rehook_sync__received_at} AND (rehook_sync__received_at > :low OR {place: rehook_sync__id} >= :place)
ORDER BY rehook_sync__received_at, {place: rehook_sync__id}
LIMIT :rows;

-- name: read_timeless_slice
-- does: reads so many calls without a usable time of arrival, by id from a place on, and the place of each
-- identifiers: columns
-- words: place
SELECT rehook_sync__received_at, rehook_sync__occurred_at, :"columns", {place: rehook_sync__id} AS rehook_sync__place
FROM calls
WHERE rehook_sync__received_at IS NULL AND {place: rehook_sync__id} >= :place
ORDER BY {place: rehook_sync__id}
LIMIT :rows;

-- name: read_window
-- does: reads the calls of a window, and those without a usable time of arrival, in any order
-- identifiers: columns
-- words: in_window_or_null
SELECT rehook_sync__received_at, rehook_sync__occurred_at, :"columns", rehook_sync__id AS rehook_sync__place
FROM calls
WHERE {in_window_or_null: rehook_sync__received_at};

-- name: read_chosen
-- does: reads the calls of a window with these ids, in any order
-- identifiers: columns
-- words: in_window, among
SELECT rehook_sync__received_at, rehook_sync__occurred_at, :"columns", rehook_sync__id AS rehook_sync__place
FROM calls
WHERE {in_window: rehook_sync__received_at} AND rehook_sync__id {among: :ids};

-- name: find_time
-- does: tells whether there is a call with a usable time of arrival, and whether there is a call at all
SELECT EXISTS (SELECT 1 FROM calls WHERE rehook_sync__received_at IS NOT NULL), EXISTS (SELECT 1 FROM calls);

-- name: count_from
-- does: counts the calls from a time on, a thousand at most
SELECT COUNT(*) FROM (SELECT 1 FROM calls WHERE rehook_sync__received_at >= :low LIMIT 1000) AS later;

-- name: read_newest
-- does: gives the newest time of arrival in a window
-- words: in_window
SELECT MAX(rehook_sync__received_at) FROM calls WHERE {in_window: rehook_sync__received_at};
