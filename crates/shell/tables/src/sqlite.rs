//! SQLite databases, for sqlite_table(5): in whatever process may block on a lock or a slow disk.

#[cfg(feature = "sqlite")]
pub(crate) use with_library::Databases;
#[cfg(not(feature = "sqlite"))]
pub(crate) use without_library::Databases;

#[cfg(feature = "sqlite")]
mod with_library {
    use rusqlite::{Connection, OpenFlags, types::ValueRef};
    use std::{collections::HashMap, os::unix::fs::MetadataExt, time::Duration};

    /// How long another program's lock is waited for.
    const BUSY_LIMIT: Duration = Duration::from_secs(5);

    /// Databases that were opened, with what tells one file from another.
    #[derive(Default)]
    pub(crate) struct Databases(HashMap<String, ((u64, u64), Connection)>);

    impl Databases {
        /// All columns of all rows of a query that are not NULL.
        pub(crate) fn query(&mut self, path: &str, query: &[u8]) -> Result<Vec<Vec<u8>>, String> {
            let query = std::str::from_utf8(query).map_err(|_| "the query is not UTF-8".to_owned())?;
            let failed = |error: rusqlite::Error| format!("sqlite: {path}: {error}");
            let connection = self.open(path)?;
            let mut statement = connection.prepare_cached(query).map_err(failed)?;
            let columns = statement.column_count();
            let mut rows = statement.query([]).map_err(failed)?;
            let mut values = Vec::new();
            while let Some(row) = rows.next().map_err(failed)? {
                for column in 0..columns {
                    values.extend(text(row.get_ref(column).map_err(failed)?));
                }
            }
            Ok(values)
        }

        /// The database as it is now: a file that was replaced is another one.
        fn open(&mut self, path: &str) -> Result<&Connection, String> {
            let facts = std::fs::metadata(path);
            let facts = facts.map_err(|error| format!("open {path}: {}", crate::errno_text(&error)))?;
            let file = (facts.dev(), facts.ino());
            if self.0.get(path).is_none_or(|(known, _)| *known != file) {
                let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
                let failed = |error: rusqlite::Error| format!("open {path}: {error}");
                let connection = Connection::open_with_flags(path, flags).map_err(failed)?;
                connection.busy_timeout(BUSY_LIMIT).map_err(failed)?;
                self.0.insert(path.to_owned(), (file, connection));
            }
            self.0.get(path).map(|(_, connection)| connection).ok_or_else(|| format!("open {path}"))
        }
    }

    /// A value as sqlite3_column_text() gives it.
    fn text(value: ValueRef<'_>) -> Option<Vec<u8>> {
        match value {
            ValueRef::Null => None,
            ValueRef::Integer(number) => Some(number.to_string().into_bytes()),
            ValueRef::Real(number) => Some(format!("{number:?}").into_bytes()),
            ValueRef::Text(bytes) | ValueRef::Blob(bytes) => Some(bytes.to_vec()),
        }
    }
}

#[cfg(not(feature = "sqlite"))]
mod without_library {
    /// No databases.
    #[derive(Default)]
    pub(crate) struct Databases;

    impl Databases {
        /// Says what is missing.
        #[allow(clippy::unused_self)]
        pub(crate) fn query(&mut self, path: &str, _: &[u8]) -> Result<Vec<Vec<u8>>, String> {
            Err(format!(
                "sqlite: {path}: this program was built without SQLite; build it with the feature sqlite"
            ))
        }
    }
}
