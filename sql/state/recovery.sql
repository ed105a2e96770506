-- Settling what a dead run left behind.

-- name: doubt_marked
-- does: turns events that were in flight when a run died to in_doubt, for a range of users
-- words: by_index, bytes_order
UPDATE sync_state {by_index: sync_state_unsettled} SET status = 'in_doubt', reason = 'crashed_in_flight', detail = :detail
WHERE status IN ('failed', 'in_doubt', 'sending') AND status = 'sending' AND stream <> 'identifies' AND user_id {bytes_order} >= :low_user
    AND (CAST(:high_user AS text) IS NULL OR user_id {bytes_order} < CAST(:high_user AS text));

-- name: fail_marked
-- does: turns all calls still marked when a run died to failed, so that the next run sends them again, for a range of users
-- words: by_index, bytes_order
UPDATE sync_state {by_index: sync_state_unsettled} SET status = 'failed', reason = 'network_error', detail = :detail
WHERE status IN ('failed', 'in_doubt', 'sending') AND status = 'sending' AND user_id {bytes_order} >= :low_user
    AND (CAST(:high_user AS text) IS NULL OR user_id {bytes_order} < CAST(:high_user AS text));

-- name: forget_marked_customers
-- does: notes that nobody knows what customers have whose Identify call was in flight when a run died
-- words: by_index, bytes_order
UPDATE sync_customers SET trait_hashes = '["unsure",' || trait_hashes || ']'
WHERE source_id IN (
    SELECT user_id FROM sync_state {by_index: sync_state_unsettled}
    WHERE status IN ('failed', 'in_doubt', 'sending') AND status = 'sending' AND stream = 'identifies' AND user_id {bytes_order} >= :low_user
        AND (CAST(:high_user AS text) IS NULL OR user_id {bytes_order} < CAST(:high_user AS text)));

-- name: forget_open_claims
-- does: frees the codes that were claimed for calls never delivered
-- words: by_index, bytes_order
UPDATE sync_customers {by_index: sync_customers_open} SET referral_code = NULL
WHERE referral_code IS NOT NULL AND (accepted_code IS NULL OR accepted_code <> referral_code) AND source_id {bytes_order} >= :low_user
    AND (CAST(:high_user AS text) IS NULL OR source_id {bytes_order} < CAST(:high_user AS text));

-- name: restore_accepted_codes
-- does: gives users without a code the one that Rehook has for them, if no other user has it
-- words: by_index, bytes_order
UPDATE sync_customers {by_index: sync_customers_freed} SET referral_code = accepted_code
WHERE referral_code IS NULL AND accepted_code IS NOT NULL AND source_id {bytes_order} >= :low_user
    AND (CAST(:high_user AS text) IS NULL OR source_id {bytes_order} < CAST(:high_user AS text))
    AND NOT EXISTS (
        SELECT 1 FROM sync_customers AS other
        WHERE other.source_id <> sync_customers.source_id
            AND (other.referral_code = sync_customers.accepted_code OR other.accepted_code = sync_customers.accepted_code));
