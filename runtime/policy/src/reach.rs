//! Whole folders at once: what Landlock and a spawn need to know of the grants.

use crate::capability::Capability;
use crate::effective::Effective;
use crate::grants::Subject;
use crate::paths::is_beneath;

impl Effective {
    /// The folders of which every layer grants all beneath (`/srv/site` for `/srv/site/**`), none
    /// beneath another, sorted. Deny lines and protected paths may lie beneath them; see
    /// [`denies_beneath`](Self::denies_beneath).
    pub fn trees(&self, capability: Capability) -> Vec<String> {
        let of = |source: &crate::effective::Source| -> Vec<String> {
            source
                .set(capability)
                .paths
                .folders()
                .into_iter()
                .map(str::to_owned)
                .collect()
        };
        self.declarations
            .iter()
            .map(of)
            .fold(of(&self.policy), |ours, theirs| {
                let mut common = Vec::new();
                for own in &ours {
                    for other in &theirs {
                        // Of two folders one of which is beneath the other, both grant the deeper.
                        if is_beneath(own, other.trim_end_matches('/')) {
                            common.push(own.clone());
                        } else if is_beneath(other, own.trim_end_matches('/')) {
                            common.push(other.clone());
                        }
                    }
                }
                common.sort_unstable();
                common.dedup();
                common
            })
    }

    /// The path globs of any layer that are not whole folders, single paths included, sorted. What
    /// they match on the disk (begin at [`static_prefix`](crate::glob::static_prefix)) must still be
    /// asked for by [`path`](Self::path), because other layers may not grant it.
    pub fn patterns(&self, capability: Capability) -> Vec<String> {
        let mut patterns: Vec<String> = self
            .declarations
            .iter()
            .chain([&self.policy])
            .flat_map(|source| &source.grants.grants)
            .filter(|grant| capability.granted_by().contains(&grant.capability))
            .filter_map(|grant| match &grant.subject {
                Subject::Path(glob) if glob.tree().is_none() => Some(grant.text.clone()),
                Subject::Path(_)
                | Subject::Command(_)
                | Subject::Name(_)
                | Subject::Bound(..)
                | Subject::Flag => None,
            })
            .collect();
        patterns.sort_unstable();
        patterns.dedup();
        patterns
    }

    /// Whether a deny line or a protected path may cover a folder or something beneath it. Says yes
    /// in doubt.
    pub fn denies_beneath(&self, capability: Capability, tree: &str) -> bool {
        self.protected.reaches_beneath(tree)
            || self.deny.set(capability).paths.reaches_beneath(tree)
    }
}
