//! Who takes part: three authorities, of which two keep mailboxes, and the 80 official test citizens.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use pli_testbed::Federation;
use pli_testbed::federation::{AuthorityPlan, Builder};

pub(crate) const INTERIOR: &str = "interieur.gouv.fr";
pub(crate) const SOCIAL: &str = "social.gouv.fr";
pub(crate) const DIGITAL: &str = "numerique.gouv.fr";

/// Holiday watch: to the citizens who live at Social Affairs.
pub(crate) const OTV: &str = "otv@interieur.gouv.fr";
/// Benefits: to the citizens who live at the Interior.
pub(crate) const BENEFITS: &str = "aides@social.gouv.fr";
/// Procedures of every administration: to everybody.
pub(crate) const PROCEDURES: &str = "demarches@numerique.gouv.fr";

/// Marks a folder as ours, so that nobody else's is ever emptied.
const MARK: &str = ".pli-demo";

pub(crate) fn federation() -> Builder {
    Federation::builder()
        .witnesses(1)
        .set("trust", "refresh", "\"1s\"")
        .authority(
            AuthorityPlan::new(
                INTERIOR,
                "Ministère de l’Intérieur",
                "Ministry of the Interior",
            )
            .hosts()
            .service(
                "otv",
                "Opération tranquillité vacances",
                "Holiday watch",
                &["votre-portail.example"],
            ),
        )
        .authority(
            AuthorityPlan::new(
                SOCIAL,
                "Ministère des Affaires sociales",
                "Ministry of Social Affairs",
            )
            .hosts()
            .service(
                "aides",
                "Aides sociales",
                "Benefits",
                &["aides.social.gouv.fr"],
            ),
        )
        .authority(
            AuthorityPlan::new(DIGITAL, "Direction du numérique", "Digital Directorate").service(
                "demarches",
                "Démarches en ligne",
                "Online procedures",
                &["demarche.numerique.gouv.fr"],
            ),
        )
}

/// The demo's own folder, empty. A folder that is not the demo's is left alone.
pub(crate) fn empty(folder: &Path) -> io::Result<PathBuf> {
    if folder.exists() {
        if !folder.join(MARK).exists() {
            let told = format!(
                "{} is not the demo's; choose another --folder",
                folder.display()
            );
            return Err(io::Error::new(io::ErrorKind::AlreadyExists, told));
        }
        fs::remove_dir_all(folder)?;
    }
    fs::create_dir_all(folder)?;
    fs::write(
        folder.join(MARK),
        "made by the demo, which empties this folder at each start\n",
    )?;
    fs::canonicalize(folder)
}
