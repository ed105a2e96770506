-- The traits of customers have times from this version on. What earlier versions wrote is read as it is, so nothing changes here but the
-- version of the tables: earlier code could not read what is written from now on.

COMMENT ON COLUMN sync_state.reason IS 'see reasons; NULL for sent, merged, sending, and for unchanged but if it is superseded';
COMMENT ON TABLE sync_customers IS 'One row per customer that an Identify call was sent for or who took a referral code. Written by run, retry and revalidate, with the outcome of each Identify call and with each claim of a code.';
COMMENT ON COLUMN sync_customers.trait_hashes IS 'JSON: for each call that the customer has traits of its time, its message id, and key -> hash of the value; unsure before it: a run died, and the values are unknown; NULL: all is unknown, so the next Identify call goes out';
