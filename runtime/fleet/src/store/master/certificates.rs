//! Certificates: which were given to whom, and which of them are good for nothing any more.

use std::time::SystemTime;

use rusqlite::{Connection, OptionalExtension, Row, params};

use super::Store;
use super::error::{Error, Failure};
use crate::pki::Role;
use crate::store::file::{milliseconds, moment};

/// A certificate that the master gave.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Certificate {
    /// In hexadecimal digits.
    pub serial: String,
    pub name: String,
    pub role: Role,
    /// Selector of the agents that its bearer may reach; empty is all.
    pub scope: String,
    pub issued: SystemTime,
    pub expires: SystemTime,
    /// When it was revoked, if it was.
    pub revoked: Option<SystemTime>,
}

impl Store {
    /// Keeps a certificate that was given without a token: a renewal, or the first administrator's.
    pub async fn add_certificate(&self, certificate: Certificate) -> Result<(), Error> {
        self.write("add_certificate", move |writing| {
            insert(writing.connection, &certificate)
        })
        .await
    }

    /// Keeps the certificate that follows another, unless the other has been revoked. False if it has been, or is
    /// not known.
    pub async fn succeed(&self, before: &str, certificate: Certificate) -> Result<bool, Error> {
        let before = before.to_owned();
        self.write("succeed", move |writing| {
            let good = writing
                .connection
                .prepare_cached("SELECT 1 FROM certificate WHERE serial = ?1 AND revoked IS NULL")?
                .exists([&before])?;
            if good {
                insert(writing.connection, &certificate)?;
            }
            Ok(good)
        })
        .await
    }

    /// The certificate with this serial number, whatever became of it.
    pub async fn certificate(&self, serial: &str) -> Result<Option<Certificate>, Error> {
        let serial = serial.to_owned();
        self.read("certificate", move |connection| {
            Ok(connection
                .prepare_cached(&format!("{COLUMNS} WHERE serial = ?1"))?
                .query_row([&serial], from_row)
                .optional()?)
        })
        .await
    }

    /// The certificate of a name that is good now and longest.
    pub async fn live_certificate(
        &self,
        name: &str,
        now: SystemTime,
    ) -> Result<Option<Certificate>, Error> {
        let name = name.to_owned();
        self.read("live_certificate", move |connection| {
            Ok(live(connection, &name, now)?)
        })
        .await
    }

    /// Revokes all certificates of a name; gives the serial numbers of those that were good.
    pub async fn revoke_certificates(
        &self,
        name: &str,
        now: SystemTime,
    ) -> Result<Vec<String>, Error> {
        let name = name.to_owned();
        self.write("revoke_certificates", move |writing| {
            Ok(revoke(writing.connection, &name, now)?)
        })
        .await
    }

    /// The serial numbers that were revoked and would be good otherwise: what a door must not let in.
    pub async fn revoked(&self, now: SystemTime) -> Result<Vec<String>, Error> {
        self.read("revoked", move |connection| {
            let mut statement = connection.prepare_cached(
                "SELECT serial FROM certificate WHERE revoked IS NOT NULL AND expires > ?1",
            )?;
            let serials = statement.query_map([milliseconds(now)], |row| row.get(0))?;
            Ok(serials.collect::<rusqlite::Result<_>>()?)
        })
        .await
    }
}

pub(super) fn insert(connection: &Connection, certificate: &Certificate) -> Result<(), Failure> {
    connection
        .prepare_cached(
            "INSERT INTO certificate (serial, name, role, scope, issued, expires, revoked)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
        )?
        .execute(params![
            certificate.serial,
            certificate.name,
            certificate.role,
            certificate.scope,
            milliseconds(certificate.issued),
            milliseconds(certificate.expires),
            certificate.revoked.map(milliseconds),
        ])?;
    Ok(())
}

pub(super) fn live(
    connection: &Connection,
    name: &str,
    now: SystemTime,
) -> rusqlite::Result<Option<Certificate>> {
    connection
        .prepare_cached(&format!(
            "{COLUMNS} WHERE name = ?1 AND revoked IS NULL AND expires > ?2 ORDER BY expires DESC"
        ))?
        .query_row(params![name, milliseconds(now)], from_row)
        .optional()
}

pub(super) fn revoke(
    connection: &Connection,
    name: &str,
    now: SystemTime,
) -> rusqlite::Result<Vec<String>> {
    let mut statement = connection.prepare_cached(
        "UPDATE certificate SET revoked = ?2 WHERE name = ?1 AND revoked IS NULL AND expires > ?2
         RETURNING serial",
    )?;
    let serials = statement.query_map(params![name, milliseconds(now)], |row| row.get(0))?;
    serials.collect()
}

const COLUMNS: &str = "SELECT serial, name, role, scope, issued, expires, revoked FROM certificate";

fn from_row(row: &Row<'_>) -> rusqlite::Result<Certificate> {
    Ok(Certificate {
        serial: row.get(0)?,
        name: row.get(1)?,
        role: row.get(2)?,
        scope: row.get(3)?,
        issued: moment(row.get(4)?),
        expires: moment(row.get(5)?),
        revoked: row.get::<_, Option<i64>>(6)?.map(moment),
    })
}
