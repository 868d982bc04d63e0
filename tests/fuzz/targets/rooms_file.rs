//! A table of rooms is read or refused with its line; each address that is read looks like one.

use teams_rooms_exporter::model::rooms_file::{is_email, parse};

pub(crate) fn corpus() -> Vec<Vec<u8>> {
    [
        "email,object_id,building,floor,city,country,site,owner,tier,exclude\n\
         Oslo@contoso.example,11111111-2222-4333-8444-55555555555A,\"Main, \"\"A\"\"\",3,Oslo,NO,oslo,av,gold,\n\
         bergen@contoso.example,,,,,,,,,YES\n",
        "sep=;\r\nemail;building;;\r\nmailto:room-oslo@contoso.example;Main;;\r\n",
        "email\towner\n'oslo@contoso.example\u{200b}\tav\n\n,\n",
        "\n\nSEP=,\nowner,email\nav,SMTP:oslo@contoso.example\n",
        "email,building\noslo@contoso.example,\"open\nbergen@contoso.example\n",
    ]
    .map(|text| text.as_bytes().to_vec())
    .to_vec()
}

pub(crate) fn run(input: &[u8]) {
    let text = String::from_utf8_lossy(input);
    match parse(&text) {
        Ok(rooms) => {
            let sound = |email: &str| is_email(email) && email == email.to_lowercase();
            assert!(rooms.keys().all(|email| sound(email)), "{:?}", rooms.keys());
        }
        Err(error) => {
            let lines = u64::try_from(text.split('\n').count()).expect("few");
            assert!((1..=lines + 1).contains(&error.line), "line {} of {lines}", error.line);
            assert!(error.to_string().len() < 1024, "{error}");
        }
    }
}
