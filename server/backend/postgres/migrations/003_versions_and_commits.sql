-- Each write gives the entry a larger version. Rows that are there already get 1, without being
-- rewritten. JavaScript's largest safe integer is the end.

CREATE SEQUENCE entry_version START WITH 2 MAXVALUE 9007199254740991;
-- Like the functions: who may use the tables needs no further right.
GRANT USAGE ON SEQUENCE entry_version TO PUBLIC;

ALTER TABLE entry ADD COLUMN version BIGINT NOT NULL DEFAULT 1;
ALTER TABLE entry ALTER COLUMN version SET DEFAULT nextval('entry_version');

-- Gateways of older versions know no versions. A row that they write gets one here.
CREATE FUNCTION entry_written() RETURNS TRIGGER LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
BEGIN
  NEW.version := nextval('entry_version');
  RETURN NEW;
END $$;
CREATE TRIGGER entry_written BEFORE UPDATE ON entry FOR EACH ROW
  WHEN (NEW.version = OLD.version) EXECUTE FUNCTION entry_written();
