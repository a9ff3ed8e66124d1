//! Real input: the 80 official test citizens and the events that partners send, from `fixtures/ami` (each file
//! with its source beside it).

/// A test citizen as the interministerial app publishes them.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct TestCitizen {
    /// The row's number: the only column that no two rows share (one identity is published twice).
    pub id: String,
    /// FranceConnect's test login.
    pub login: String,
    /// All forenames.
    pub forenames: String,
    /// Name at birth.
    pub name: String,
    /// How partners address this citizen: version 1 of the hash.
    pub fc_hash: String,
}

impl TestCitizen {
    /// As a person is called: first forename and name.
    pub fn display_name(&self) -> String {
        let first = self.forenames.split(' ').next().unwrap_or_default();
        format!("{first} {}", self.name)
    }
}

const CITIZENS: &str = include_str!("../fixtures/ami/fc_hash_v1_vectors.csv");

/// One event as `PUT /api/v2/event` takes it.
pub const EVENT: &str = include_str!("../fixtures/ami/put-api-v2-event.json");
/// The three steps of a holiday-watch request (*opération tranquillité vacances*).
pub const LIFECYCLE: &str = include_str!("../fixtures/ami/doc-otv-lifecycle-new-wip-closed.json");
/// One event of the older `POST /api/v1/notifications`.
pub const NOTIFICATION: &str = include_str!("../fixtures/ami/post-api-v1-notifications.json");

/// The 80 citizens, in the file's order.
pub fn citizens() -> Vec<TestCitizen> {
    CITIZENS.lines().skip(1).map(citizen).collect()
}

// The file has no quoted fields; a test counts its columns.
fn citizen(line: &str) -> TestCitizen {
    let column: Vec<&str> = line.split(',').collect();
    let [id, login, forenames, name, _, _, _, _, fc_hash] = column[..] else {
        panic!("the fixture has 9 columns: {line}")
    };
    let own = str::to_owned;
    TestCitizen {
        id: own(id),
        login: own(login),
        forenames: own(forenames),
        name: own(name),
        fc_hash: own(fc_hash),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_80_official_citizens_are_there() {
        let citizens = citizens();
        assert_eq!(citizens.len(), 80);
        assert_eq!(citizens[0].display_name(), "Angela DUBOIS");
        let distinct = |key: fn(&TestCitizen) -> &String| {
            citizens
                .iter()
                .map(key)
                .collect::<std::collections::BTreeSet<_>>()
                .len()
        };
        assert_eq!(distinct(|citizen| &citizen.id), 80);
        assert_eq!(distinct(|citizen| &citizen.fc_hash), 79);
        assert!(citizens.iter().all(|citizen| citizen.fc_hash.len() == 64));
    }
}
