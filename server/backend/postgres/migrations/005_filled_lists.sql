-- Tells gateways which lists are no longer empty: a list has a row only while it has values. A list
-- that a move made and emptied again is told too, and those who look find nothing.

-- All schemas of a database share the channel, because its name has no room for theirs.
CREATE FUNCTION list_filled() RETURNS TRIGGER LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
BEGIN
  PERFORM pg_notify('prism_list_filled', TG_TABLE_SCHEMA || '/' || NEW.namespace || '/' || encode(NEW.key, 'hex'));
  RETURN NULL;
END $$;

CREATE TRIGGER list_filled AFTER INSERT ON list FOR EACH ROW EXECUTE FUNCTION list_filled();
