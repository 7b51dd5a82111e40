//! Listings: order, pages, directories, odd names.

use partfs::store::{ListPage, ListRequest};

use super::{Ground, ODD_NAMES};

impl Ground<'_> {
    /// All pages of a listing below the prefix of the case, and the same with the prefix stripped:
    /// names of objects and of directories.
    async fn list(
        &self,
        prefix: &str,
        by_directory: bool,
        page: u16,
    ) -> (Vec<String>, Vec<String>) {
        let mut request = ListRequest {
            prefix: format!("{}{prefix}", self.prefix),
            by_directory,
            after: None,
            max_entries: page,
        };
        let (mut objects, mut directories) = (Vec::new(), Vec::new());
        for _ in 0..1000 {
            let ListPage { objects: found, prefixes, next } =
                self.store.list(&request).await.unwrap();
            if page > 0 {
                assert!(found.len() + prefixes.len() <= usize::from(page));
            }
            objects.extend(found.iter().map(|object| self.strip(object.key.as_str())));
            directories.extend(prefixes.iter().map(|prefix| self.strip(prefix)));
            match next {
                Some(next) => request.after = Some(next),
                None => return (objects, directories),
            }
        }
        panic!("the listing does not end");
    }

    fn strip(&self, key: &str) -> String {
        key.strip_prefix(&self.prefix).expect("a key of another prefix").to_owned()
    }
}

pub(super) async fn pages_join_to_the_whole_in_order(ground: &Ground<'_>) {
    let mut names: Vec<String> = (0..25).map(|n| format!("k{}", n * 7)).collect();
    for name in &names {
        ground.put(name, "x").await;
    }
    names.sort();
    for page in [0, 1, 4, 25, 26] {
        assert_eq!(ground.list("", false, page).await, (names.clone(), vec![]), "pages of {page}");
    }
    let (with_prefix, _) = ground.list("k1", false, 2).await;
    let expected: Vec<_> = names.iter().filter(|name| name.starts_with("k1")).cloned().collect();
    assert_eq!(with_prefix, expected);
}

pub(super) async fn by_directory(ground: &Ground<'_>) {
    for name in ["a", "d/", "d/1", "d/2", "d/e/3", "d0", "f/g/h/i", "z"] {
        ground.put(name, "x").await;
    }
    for page in [0, 1, 2] {
        let (objects, directories) = ground.list("", true, page).await;
        assert_eq!(objects, ["a", "d0", "z"]);
        assert_eq!(directories, ["d/", "f/"]);
        let (objects, directories) = ground.list("d/", true, page).await;
        assert_eq!(objects, ["d/", "d/1", "d/2"]);
        assert_eq!(directories, ["d/e/"]);
        let (objects, directories) = ground.list("d", true, page).await;
        assert_eq!((objects, directories), (vec!["d0".to_owned()], vec!["d/".to_owned()]));
    }
}

pub(super) async fn odd_keys(ground: &Ground<'_>) {
    let mut names = ODD_NAMES.map(str::to_owned);
    names.sort();
    for name in &names {
        ground.put(name, "x").await;
    }
    for page in [0, 1, 3] {
        assert_eq!(ground.list("", false, page).await.0, names, "pages of {page}");
    }
    for name in &names {
        assert_eq!(ground.list(name, false, 0).await.0, [name.as_str()]);
    }
    let (_, directories) = ground.list("", true, 1).await;
    assert_eq!(directories, ["a/", "dir/", "中文/"]);
}

pub(super) async fn prefixes_count_towards_the_page(ground: &Ground<'_>) {
    for name in ["a/1", "a/2", "b/1", "c/1", "c/2", "d/1"] {
        ground.put(name, "x").await;
    }
    let (objects, directories) = ground.list("", true, 2).await;
    assert!(objects.is_empty());
    assert_eq!(directories, ["a/", "b/", "c/", "d/"]);
}

pub(super) async fn a_prefix_without_keys(ground: &Ground<'_>) {
    assert_eq!(ground.list("none/", true, 0).await, (vec![], vec![]));
}

pub(super) async fn listed_properties_are_those_of_head(ground: &Ground<'_>) {
    ground.put("k", "hello").await;
    let request = ListRequest { prefix: ground.prefix.clone(), ..ListRequest::default() };
    let page = ground.store.list(&request).await.unwrap();
    let info = ground.store.head(&ground.key("k")).await.unwrap();
    let listed = &page.objects[0];
    assert_eq!((&listed.etag, listed.size), (&info.version.etag, info.version.size));
    assert_eq!(listed.last_modified, info.last_modified);
}
