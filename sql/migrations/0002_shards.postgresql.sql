-- What recovery looks for is found by an index, however many calls and customers there are.

CREATE INDEX sync_customers_open ON sync_customers (source_id)
    WHERE referral_code IS NOT NULL AND (accepted_code IS NULL OR accepted_code <> referral_code);
CREATE INDEX sync_customers_freed ON sync_customers (source_id) WHERE referral_code IS NULL AND accepted_code IS NOT NULL;
CREATE INDEX sync_customers_accepted ON sync_customers (accepted_code) WHERE accepted_code IS NOT NULL;
