#!/usr/bin/env bash
# Registers the exporter in Entra with the Azure CLI: application, permissions of the profiles chosen, credential. Prints
# the address at which an administrator consents, the Exchange commands that confine calendars to rooms, and the
# exporter's configuration.
#
#   setup.sh --profile PROFILE... [OPTION...]       shows what it would do; changes nothing
#   setup.sh --profile PROFILE... [OPTION...] --apply
#
#   --profile PROFILE      minimal, operations, space, finance or all, as in docs/permissions.md; may be repeated
#   --calendars HOW        exchange (the default: rooms only, by Exchange RBAC) or entra (every mailbox)
#   --credential KIND      certificate (the default, made here by openssl), secret, federated or none
#   --issuer URL           federated: who issues the token, such as the OIDC issuer of an AKS cluster
#   --subject SUBJECT      federated: system:serviceaccount:NAMESPACE:NAME
#   --name NAME            of the application; teams-rooms-exporter
#   --days N               for which a certificate or secret is valid; 365
#   --out DIRECTORY        for the credential; the present one
#
# Run again it changes what is there: the permissions become those of the profiles, a further credential is added.
# Needs `az login` as an Application Administrator; consent needs a Privileged Role Administrator.
set -euo pipefail

# Microsoft Graph, in every cloud.
readonly GRAPH=00000003-0000-0000-c000-000000000000

main() {
    arguments "$@"
    local tenant login app accesses
    tenant=$(az account show --query tenantId --output tsv) || die 'not signed in: run az login'
    login=$(az cloud show --query endpoints.activeDirectory --output tsv)
    accesses=$(required_accesses)

    app=$(application "$accesses")
    service_principal "$app"
    credential "$app"

    say 'an administrator consents (Graph may answer 403 for up to two hours afterwards):'
    printf '    %s/%s/adminconsent?client_id=%s\n' "${login%/}" "$tenant" "$app"
    printf '    or: az ad app permission admin-consent --id %s\n' "$app"
    if wanted space && [[ $calendars == exchange ]]; then
        exchange "$app"
    fi
    configuration "$tenant" "$app"
    $apply || say 'nothing was changed: run again with --apply'
}

arguments() {
    profiles=() calendars=exchange credential=certificate issuer='' subject='' name=teams-rooms-exporter days=365 out=.
    apply=false
    while (($# > 0)); do
        case $1 in
            --apply) apply=true && shift && continue ;;
            -h | --help) usage && exit 0 ;;
        esac
        (($# > 1)) || die "$1 needs a value; --help tells more"
        case $1 in
            --profile) profiles+=("$2") ;;
            --calendars) calendars=$2 ;;
            --credential) credential=$2 ;;
            --issuer) issuer=$2 ;;
            --subject) subject=$2 ;;
            --name) name=$2 ;;
            --days) days=$2 ;;
            --out) out=$2 ;;
            *) die "unknown option $1; --help lists all" ;;
        esac
        shift 2
    done
    ((${#profiles[@]} > 0)) || die '--profile is missing: minimal, operations, space, finance or all'
    [[ $calendars =~ ^(exchange|entra)$ ]] || die "--calendars is exchange or entra, not $calendars"
    [[ $credential =~ ^(certificate|secret|federated|none)$ ]] ||
        die "--credential is certificate, secret, federated or none, not $credential"
    [[ $credential != federated || ($issuer == https://* && -n $subject) ]] ||
        die '--credential federated needs --issuer https://... and --subject'
    # It becomes the name of files.
    [[ $name =~ ^[A-Za-z0-9][A-Za-z0-9._-]*$ ]] || die "--name takes letters, digits, dot, dash and underscore, not $name"
    [[ $days =~ ^[1-9][0-9]{0,3}$ ]] || die "--days is a number of days, not $days"
    permissions >/dev/null
}

# --- What is asked for ------------------------------------------------------------------------

# permissions [PROFILE...]: those of the profiles given, else of those chosen; one to a line.
permissions() {
    local profile
    for profile in "${@:-${profiles[@]}}"; do
        case $profile in
            minimal) words Place.Read.All TeamworkDevice.Read.All ;;
            operations)
                words Place.Read.All TeamworkDevice.Read.All Presence.Read.All ServiceHealth.Read.All \
                    DeviceManagementManagedDevices.Read.All
                ;;
            space)
                words Place.Read.All Presence.Read.All
                [[ $calendars == exchange ]] || words Calendars.ReadBasic.All
                ;;
            finance) words Place.Read.All User.Read.All LicenseAssignment.Read.All ;;
            all)
                # With the renewal dates of licences and the expiry of the credential.
                permissions operations space finance
                words Organization.Read.All Application.Read.All
                ;;
            *) die "unknown profile $profile; known: minimal, operations, space, finance, all" ;;
        esac
    done | sort -u
}

words() {
    printf '%s\n' "$@"
}

wanted() {
    [[ " ${profiles[*]} " == *" $1 "* || " ${profiles[*]} " == *' all '* ]]
}

# The ids of application permissions are looked up: they are Microsoft's.
required_accesses() {
    local roles permission id list=''
    roles=$(az ad sp show --id "$GRAPH" --output tsv \
        --query "appRoles[?contains(allowedMemberTypes, 'Application')].[value, id]") || die 'Microsoft Graph is not in this tenant'
    for permission in $(permissions); do
        id=$(awk -v permission="$permission" '$1 == permission {print $2}' <<<"$roles")
        if [[ -z $id ]]; then
            say "this cloud has no $permission; it is left out"
            continue
        fi
        say "asks for $permission ($id)"
        list+=",{\"id\":\"$id\",\"type\":\"Role\"}"
    done
    [[ -n $list ]] || die 'this cloud has none of these permissions'
    printf '[{"resourceAppId":"%s","resourceAccess":[%s]}]' "$GRAPH" "${list#,}"
}

# --- Application and service principal --------------------------------------------------------

application() {
    local found
    found=$(az ad app list --display-name "$name" --query "[?displayName=='$name'].appId" --output tsv)
    case $(grep -c . <<<"$found") in
        0)
            say "creates the application $name"
            change '<application id>' az ad app create --display-name "$name" --sign-in-audience AzureADMyOrg \
                --required-resource-accesses "$1" --query appId --output tsv
            ;;
        1)
            say "the application $name is there: $found"
            change '' az ad app update --id "$found" --required-resource-accesses "$1" --output none
            printf '%s\n' "$found"
            ;;
        *) die "several applications are called $name: choose another --name" ;;
    esac
}

service_principal() {
    [[ -n $(principal "$1") ]] || change '' az ad sp create --id "$1" --output none
}

# The object id of the enterprise application; nothing where there is none yet.
principal() {
    [[ $1 == '<'* ]] || az ad sp list --filter "appId eq '$1'" --query '[].id' --output tsv
}

# --- Credential -------------------------------------------------------------------------------

credential() {
    case $credential in
        certificate)
            say "makes a key and a certificate for $days days: $out/$name.pem holds both, readable by you alone"
            change '' certificate
            change '' az ad app credential reset --id "$1" --cert "@$out/$name.crt" --append --output none
            ;;
        secret)
            say "makes a secret for $days days: $out/$name.secret, readable by you alone"
            change '' secret "$1"
            ;;
        federated)
            say "lets $subject sign in without a secret"
            change '' az ad app federated-credential create --id "$1" --output none --parameters \
                "{\"name\":\"$name\",\"issuer\":\"$issuer\",\"subject\":\"$subject\",\"audiences\":[\"api://AzureADTokenExchange\"]}"
            ;;
    esac
}

certificate() {
    umask 077
    openssl req -x509 -newkey rsa:3072 -sha256 -nodes -days "$days" -subj "/CN=$name" \
        -keyout "$out/$name.key" -out "$out/$name.crt" 2>/dev/null
    cat "$out/$name.key" "$out/$name.crt" >"$out/$name.pem"
    rm "$out/$name.key"
}

secret() {
    umask 077
    # Only this is ever printed of it, into a file.
    az ad app credential reset --id "$1" --append --display-name "$name" --end-date "$(date -u -d "+$days days" +%Y-%m-%d)" \
        --query password --output tsv | tr -d '\n' >"$out/$name.secret"
}

# --- What remains to be done by hand ----------------------------------------------------------

# The Azure CLI knows nothing of Exchange. docs/permissions.md tells why this and not a consent.
exchange() {
    local id
    id=$(principal "$1")
    id=${id:-<object id of the enterprise application>}
    say 'in Exchange Online PowerShell, as Organization Management, calendars of rooms alone:'
    cat <<COMMANDS
    Connect-ExchangeOnline
    New-ServicePrincipal -AppId $1 -ObjectId $id -DisplayName "$name"
    New-ManagementScope -Name "$name rooms" -RecipientRestrictionFilter "RecipientTypeDetails -eq 'RoomMailbox'"
    New-ManagementRoleAssignment -Name "$name calendars" -App $id -Role "Application Calendars.Read" -CustomResourceScope "$name rooms"
    Test-ServicePrincipalAuthorization -Identity $id -Resource ROOM@YOUR.DOMAIN
COMMANDS
}

configuration() {
    say 'then, with the credential where the exporter runs:'
    printf '    export AZURE_TENANT_ID=%s AZURE_CLIENT_ID=%s\n' "$1" "$2"
    case $credential in
        certificate) printf '    export AZURE_CLIENT_CERTIFICATE_PATH=%s.pem\n' "$name" ;;
        secret) printf '    export AZURE_CLIENT_SECRET_FILE=%s.secret\n' "$name" ;;
    esac
    printf '    teams-rooms-exporter check --wait 2h\n'
}

# --- Speech -----------------------------------------------------------------------------------

# change OUTPUT COMMAND...: runs the command, or shows it and says OUTPUT in its place.
change() {
    local output=$1
    shift
    if $apply; then
        "$@"
        return
    fi
    printf '    would run:' >&2
    printf ' %q' "$@" >&2
    printf '\n' >&2
    [[ -z $output ]] || printf '%s\n' "$output"
}

say() {
    printf '* %s\n' "$*" >&2
}

die() {
    printf 'error: %s\n' "$*" >&2
    exit 1
}

usage() {
    sed -n '2,/^set /{/^set /d;s/^# \{0,1\}//p}' "$0"
}

main "$@"
