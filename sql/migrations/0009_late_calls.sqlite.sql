-- The traits of customers have times from this version on. What earlier versions wrote is read as it is, so nothing changes here but the
-- version of the tables: earlier code could not read what is written from now on.

SELECT 1;
